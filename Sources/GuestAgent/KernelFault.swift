/// A fatal fault of a user task, as the kernel's messages tell it; PIDs are those of the guest's first PID namespace.
struct KernelFault: Sendable, Hashable {
    var process: Int32
    var comm: String
    var signal: Int
    var instructionPointer: UInt64
    /// Base name of the mapped file in which the kernel places the instruction; empty when it names none.
    var file = ""
    /// Start of that mapping; 0 when unknown.
    var mappingStart: UInt64 = 0
    /// Bytes from the instruction pointer on, hexadecimal; empty when the kernel printed none.
    var bytes = ""
}

/// Reads faults out of kernel messages.
///
/// Two features of the kernel speak: `debug.exception-trace` prints one line
/// (`traps: comm[pid] trap invalid opcode ip:… in file[start+size]`, `comm[pid]: segfault at … ip …`), and
/// `kernel.print-fatal-signals` prints the signal and the registers, with the code bytes around the instruction.
struct KernelFaultParser {
    private(set) var faults: [KernelFault] = []
    /// What `potentially unexpected fatal signal` said last; registers follow.
    private var fatalSignal: Int?
    private var registerOwner: (process: Int32, comm: String)?
    private var current: Int?

    /// Looks at the next message.
    mutating func read(_ text: String) {
        if let fault = Self.trapLine(text) ?? Self.segfaultLine(text) {
            add(fault)
        } else if let range = text.range(ofText: "potentially unexpected fatal signal ") {
            fatalSignal = Int(text[range...].prefix { $0.isNumber })
            registerOwner = nil
            current = nil
        } else if fatalSignal != nil, text.hasPrefix("CPU: ") {
            registerOwner = Self.owner(text)
        } else if let signal = fatalSignal, let owner = registerOwner, text.hasPrefix("RIP: 0033:") {
            let digits = text.dropFirst("RIP: 0033:".count)
            let hexadecimal = digits.hasPrefix("0x") ? digits.dropFirst(2) : digits
            if let address = UInt64(hexadecimal.prefix { $0.isHexDigit }, radix: 16) {
                add(KernelFault(process: owner.process, comm: owner.comm, signal: signal, instructionPointer: address))
            }
            registerOwner = nil
            fatalSignal = nil
        } else if let index = current, text.hasPrefix("Code: ") {
            faults[index].bytes = Self.code(text)
            current = nil
        }
    }

    private mutating func add(_ fault: KernelFault) {
        let same = faults.lastIndex {
            $0.process == fault.process && $0.instructionPointer == fault.instructionPointer
        }
        if let same {
            // The second message knows the signal for sure, the first one the file.
            faults[same].signal = fault.signal
            if faults[same].file.isEmpty {
                faults[same].file = fault.file
                faults[same].mappingStart = fault.mappingStart
            }
            current = same
        } else {
            faults.append(fault)
            current = faults.count - 1
        }
    }

    /// `traps: avx2[1021] trap invalid opcode ip:401136 sp:7ffe… error:0 in avx2[1136,401000+1000]`
    private static func trapLine(_ text: String) -> KernelFault? {
        guard text.hasPrefix("traps: ") else { return nil }
        let rest = text.dropFirst("traps: ".count)
        guard let ip = rest.range(ofText: " ip:"), let owner = bracketed(rest[..<ip]) else { return nil }
        guard let address = UInt64(rest[ip...].prefix { $0.isHexDigit }, radix: 16) else { return nil }
        let signals: [(String, Int)] = [
            ("invalid opcode", 4), ("divide error", 8), ("general protection", 11), ("int3", 5), ("debug", 5),
            ("stack segment", 7), ("alignment check", 7), ("SIMD", 8), ("coprocessor", 8), ("bounds", 11),
        ]
        let signal = signals.first { rest.range(ofText: $0.0) != nil }?.1 ?? 11
        var fault = KernelFault(
            process: owner.process, comm: owner.comm, signal: signal, instructionPointer: address)
        place(rest, into: &fault)
        return fault
    }

    /// `comm[1021]: segfault at 0 ip 000055… sp 00007f… error 4 in libc.so.6[7f…+155000] likely on CPU 0 …`
    private static func segfaultLine(_ text: String) -> KernelFault? {
        guard let at = text.range(ofText: ": segfault at "), let ip = text.range(ofText: " ip "),
            let owner = bracketed(text[..<at].dropLast(": segfault at ".count)[...])
        else { return nil }
        guard let address = UInt64(text[ip...].prefix { $0.isHexDigit }, radix: 16) else { return nil }
        var fault = KernelFault(process: owner.process, comm: owner.comm, signal: 11, instructionPointer: address)
        place(text[...], into: &fault)
        return fault
    }

    /// `… in file[start+size]`, or `… in file[offset,start+size]` from 6.8 on.
    private static func place(_ text: Substring, into fault: inout KernelFault) {
        guard let name = text.range(ofText: " in "), let open = text[name...].firstIndex(of: "[") else { return }
        fault.file = String(text[name..<open])
        let inside = text[text.index(after: open)...].prefix { $0 != "]" }
        let range = inside.split(separator: ",").last ?? inside
        fault.mappingStart = range.split(separator: "+").first.flatMap { UInt64($0, radix: 16) } ?? 0
    }

    /// The first `comm[pid]`; a comm may hold brackets and spaces, so the last bracket before the text counts.
    private static func bracketed(_ text: Substring) -> (process: Int32, comm: String)? {
        guard let open = text.lastIndex(of: "["), let close = text[open...].firstIndex(of: "]"),
            let process = Int32(text[text.index(after: open)..<close])
        else { return nil }
        return (process, String(text[..<open]))
    }

    /// `CPU: 0 PID: 1021 Comm: avx2 Not tainted 6.1.0` (from 6.13 on with `UID: 0` before `PID`).
    private static func owner(_ text: String) -> (process: Int32, comm: String)? {
        guard let pid = text.range(ofText: " PID: "), let comm = text.range(ofText: " Comm: "),
            let process = Int32(text[pid...].prefix { $0.isNumber })
        else { return nil }
        let rest = text[comm...]
        let end = rest.endBefore(" Not tainted") ?? rest.endBefore(" Tainted: ") ?? rest.endIndex
        return (process, String(rest[..<end]))
    }

    /// The bytes from the marked one on: `Code: 48 89 <c5> fd 6f …`.
    private static func code(_ text: String) -> String {
        guard let open = text.firstIndex(of: "<") else { return "" }
        return String(text[open...].filter { $0.isHexDigit })
    }
}

extension StringProtocol {
    /// The index behind the first occurrence of `text`.
    func range(ofText text: String) -> Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) { return self.index(index, offsetBy: text.count) }
            index = self.index(after: index)
        }
        return nil
    }

    /// The index of the first occurrence of `text`.
    func endBefore(_ text: String) -> Index? {
        range(ofText: text).map { index($0, offsetBy: -text.count) }
    }

    func contains(_ text: String) -> Bool { range(ofText: text) != nil }
}

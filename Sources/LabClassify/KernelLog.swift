import CRModel

/// What kernel messages say, line by line.
enum KernelLog {
    /// First line in which the kernel reports its own failure; `nil` when there is none.
    ///
    /// Stalls and lockups do not count: under emulation they only say that the lab machine was busy.
    static func oops(_ lines: [String]) -> String? {
        lines.first { line in
            guard !line.hasPrefix("traps: ") else { return false }
            if line.holds("soft lockup") || line.holds("rcu") && line.holds("stall") { return false }
            return ["Oops: ", "BUG: ", "kernel BUG at", "Kernel panic - not syncing", "Unable to handle kernel"]
                .contains { line.holds($0) }
        }
    }

    /// Line of the out-of-memory killer; `nil` when it did not act.
    static func outOfMemory(_ lines: [String]) -> String? {
        lines.first { $0.holds("Out of memory: Killed process") || $0.holds("Memory cgroup out of memory") }
    }

    /// Deaths by SIGILL that the kernel printed (`kernel.print-fatal-signals=1`, or its own "traps:" line), for
    /// attempts whose tasks could not be looked at before they were gone.
    static func illegalInstructions(_ lines: [String]) -> [FaultEvidence] {
        var found: [FaultEvidence] = []
        for (index, line) in lines.enumerated() {
            guard line.hasPrefix("traps: "), line.holds("trap invalid opcode"),
                let pointer = line.text(after: " ip:").flatMap({ hexadecimal($0) })
            else { continue }
            let name = line.text(between: "traps: ", and: "[") ?? ""
            let task = line.text(between: "[", and: "]").flatMap { Int($0) } ?? 0
            let (file, offset) = place(line, pointer)
            let own = lines[(index + 1)...].prefix { !$0.hasPrefix("traps: ") }
            let code = own.first { $0.hasPrefix("Code: ") }
            found.append(
                FaultEvidence(
                    task: task, comm: name, signal: 4, instructionPointer: pointer,
                    bytes: code.map(bytesAtFault) ?? "", mapping: file, fileOffset: offset))
        }
        return found
    }

    /// `… in libc-2.31.so[7f12a000+14b000]`: newer kernels put the file offset before the range, `[2c5f0,7f…+14b000]`.
    private static func place(_ line: String, _ pointer: UInt64) -> (String, UInt64?) {
        guard let tail = line.text(after: " in "), let inner = tail.text(between: "[", and: "]") else {
            return ("", nil)
        }
        let file = String(tail.prefix { $0 != "[" })
        if let comma = inner.firstIndex(of: ",") { return (file, hexadecimal(inner[..<comma])) }
        return (file, nil)
    }

    /// Bytes from the marked one (`<c5>`) on, as hexadecimal text without spaces.
    private static func bytesAtFault(_ line: String) -> String {
        guard let start = line.firstIndex(of: "<") else { return "" }
        return String(line[start...].filter { $0.isHexDigit })
    }

    private static func hexadecimal(_ text: some StringProtocol) -> UInt64? {
        UInt64(text.prefix { $0.isHexDigit }, radix: 16)
    }
}

internal import CRImage
internal import LinuxKit

/// The way home of a task that makes calls and loses its tracer: a signal frame with all that it had, on its process's
/// stack where nothing was written yet, and code of its own program that calls rt_sigreturn(2).
///
/// The kernel detaches whatever a tracer leaves when it ends, SIGKILL included. At every moment of a call the task stands
/// so that it comes to that code by itself then.
struct RemoteHome {
    /// `syscall; ret`, where the engine's memory in the task can be unmapped on the way.
    struct Exit: Hashable {
        var address: UInt64
        /// Words that it takes off the stack before it returns.
        var pops: Int
    }

    /// `mov $15, %eax; syscall`, as every C library has it to return from signal handlers.
    var signalReturn: UInt64
    var signalReturnBytes: UInt64
    var exit: Exit?
    /// The engine's memory in the task, which goes on the way.
    var memory: RemoteMemory.Range?
    /// Of the room on the stack, a multiple of 64.
    let place: UInt64
    /// What was there.
    let content: [UInt8]

    private static let stateBytes = (max(CPUID.xstateBytes, 512) + 4 + 63) / 64 * 64
    private static let mostPops = 6
    /// Extended state, the frame that leads to ``exit``, what that takes off the stack, and the task's own frame.
    static let bytes = stateBytes + SignalFrame.bytes + (mostPops + 1) * 8 + SignalFrame.bytes

    private var exitFrame: UInt64 { place + UInt64(Self.stateBytes) }
    private var stack: UInt64 { exitFrame + UInt64(SignalFrame.bytes) }
    private var frame: UInt64 { stack + UInt64(((exit?.pops ?? 0) + 1) * 8) }
    /// Where rsp points for rt_sigreturn(2).
    var entrance: UInt64 { memory != nil && exit != nil ? exitFrame : frame }

    /// Writes what a task has.
    func prepare(_ remote: RemoteTask) throws(EngineError) {
        var leaving = remote.original
        leaving.rip = exit?.address ?? 0
        leaving.rsp = stack
        leaving.rax = SystemCall.munmap.rawValue
        leaving.rdi = memory?.start ?? 0
        leaving.rsi = UInt64(memory?.count ?? 0)
        var words = SignalFrame.words(leaving, mask: ~0, extendedState: place)
        words += [UInt64](repeating: 0, count: exit?.pops ?? 0) + [signalReturn]
        words += SignalFrame.words(remote.settled(), mask: remote.originalMask, extendedState: place)
        let state = try remote.extendedState()
        var bytes = SignalFrame.extendedState(state.kind, state.bytes, ends: Self.componentEnds)
        bytes += [UInt8](repeating: 0, count: Self.stateBytes - bytes.count) + words.littleEndianBytes
        try EngineError.wrap("prepare calls", task: remote.task) { () throws(LinuxError) in
            try RemoteMemory.write(remote.task, at: place, bytes)
        }
    }

    /// Whether it goes with some memory.
    func isInside(_ memory: RemoteMemory.Range) -> Bool {
        memory.start <= place && place < memory.start + UInt64(memory.count)
    }

    /// Makes the place as it was.
    func wipe(_ task: Int32) { try? RemoteMemory.write(task, at: place, content) }

    /// Registers with which a task goes home.
    func registers(_ original: Registers) -> Registers {
        var registers = original
        registers.origRax = .max
        registers.rip = signalReturn + signalReturnBytes - 2
        registers.rax = SystemCall.rt_sigreturn.rawValue
        registers.rsp = entrance
        return registers
    }

    static let componentEnds: [(number: Int, end: Int)] = RestorePreflight.destinationLayout().map {
        (Int($0.key), $0.value.offset + $0.value.sizeBytes)
    }
}

/// Finds ways home. Programs and libraries that were searched once are known in the other processes of a tree.
struct RemoteHomeSearch {
    private struct Source: Hashable {
        var device: UInt64
        var inode: UInt64
        var offset: UInt64
    }

    private var known: [Source: Found] = [:]
    /// Bytes of a process to look at: some programs are large and have no such code.
    private static let limit = 2 << 20
    private static let piece = 128 << 10

    private struct Found {
        /// From the start of the mapping.
        var signalReturn: (offset: UInt64, bytes: Int)?
        var exit: (offset: UInt64, pops: Int)?
    }

    /// - Parameter mappings: Of the process.
    /// - Returns: `nil` when it has no such code, or no stack that can be used.
    mutating func home(
        _ process: Int32, _ registers: Registers, _ mappings: [Mapping]
    ) -> RemoteHome? {
        guard let (place, content) = Self.place(process, registers, mappings) else { return nil }
        func rank(_ mapping: Mapping) -> Int {
            if mapping.name == "[vdso]" { return 0 }
            if mapping.start <= registers.rip, registers.rip < mapping.end { return 1 }
            return mapping.name.contains("libc") || mapping.name.contains("ld-musl") ? 2 : 3
        }
        let code = mappings.filter { $0.protection.contains([.read, .execute]) && $0.name != "[vsyscall]" }
            .map { (rank: rank($0), mapping: $0) }.sorted { $0.rank < $1.rank }.map(\.mapping)
        var budget = Self.limit
        var signalReturn: (address: UInt64, bytes: Int)?
        var exit: RemoteHome.Exit?
        for mapping in code where signalReturn == nil && budget > 0 {
            let found = look(process, mapping, needsExit: exit == nil, &budget)
            if let one = found.exit, exit == nil {
                exit = RemoteHome.Exit(address: mapping.start + one.offset, pops: one.pops)
            }
            signalReturn = found.signalReturn.map { (mapping.start + $0.offset, $0.bytes) }
        }
        return signalReturn.map {
            RemoteHome(
                signalReturn: $0.address, signalReturnBytes: UInt64($0.bytes), exit: exit, place: place,
                content: content)
        }
    }

    private mutating func look(
        _ process: Int32, _ mapping: Mapping, needsExit: Bool, _ budget: inout Int
    ) -> Found {
        let source = Source(device: mapping.device, inode: mapping.inode, offset: mapping.fileOffset)
        if mapping.inode != 0 || mapping.name == "[vdso]", let found = known[source], holds(process, mapping, found) {
            return found
        }
        var found = Found()
        var position = mapping.start
        while position < mapping.end, budget > 0 {
            let count = Int(min(mapping.end - position, UInt64(Self.piece + 16)))
            guard let bytes = try? RemoteMemory.read(process, at: position, count: count) else { break }
            budget -= count
            let base = position - mapping.start
            if found.signalReturn == nil, let (index, size) = RemoteInstruction.findSignalReturn(in: bytes) {
                found.signalReturn = (base + UInt64(index), size)
            }
            if found.exit == nil, let (index, pops) = RemoteInstruction.findExit(in: bytes) {
                found.exit = (base + UInt64(index), pops)
            }
            if found.signalReturn != nil, found.exit != nil || !needsExit { break }
            position += UInt64(Self.piece)
        }
        known[source] = found
        return found
    }

    /// Whether a process has not changed that code.
    private func holds(_ process: Int32, _ mapping: Mapping, _ found: Found) -> Bool {
        func code(_ offset: UInt64) -> [UInt8] {
            (try? RemoteMemory.read(
                process, at: mapping.start + offset, count: Int(min(32, mapping.sizeBytes - offset)))) ?? []
        }
        if let one = found.signalReturn, RemoteInstruction.findSignalReturn(in: code(one.offset))?.0 != 0 {
            return false
        }
        if let one = found.exit, RemoteInstruction.findExit(in: code(one.offset))?.0 != 0 { return false }
        return true
    }

    /// Room near the low end of the first task's stack, below all that is in use: where nothing was written yet, or else
    /// what functions and signal handlers write over too.
    private static func place(
        _ process: Int32, _ registers: Registers, _ mappings: [Mapping]
    ) -> (UInt64, [UInt8])? {
        guard let stack = mappings.first(where: { $0.name == "[stack]" && $0.protection.contains([.read, .write]) })
        else { return nil }
        let isInside = stack.start <= registers.rsp && registers.rsp < stack.end
        // The red zone is in use too.
        let end = isInside ? registers.rsp - 256 : stack.end
        var first: (UInt64, [UInt8])?
        for number in 0..<8 {
            let start = stack.start + UInt64(number * 4096)
            guard start + UInt64(RemoteHome.bytes) <= end,
                let bytes = try? RemoteMemory.read(process, at: start, count: RemoteHome.bytes)
            else { break }
            if bytes.allSatisfy({ $0 == 0 }) { return (start, bytes) }
            if first == nil { first = (start, bytes) }
        }
        return isInside ? first : nil
    }

    /// Where the kernel would put new memory: the highest gap below the stack.
    static func gap(_ bytes: Int, _ mappings: [Mapping]) -> UInt64? {
        let low = mappings.filter { $0.start < 0x7fff_ffff_f000 && $0.name != "[stack]" }.sorted { $0.start > $1.start }
        for (above, below) in zip(low, low.dropFirst()) where above.start - below.end >= UInt64(bytes) + 4096 {
            return above.start - UInt64(bytes)
        }
        return nil
    }
}

internal import CRImage
internal import LinuxKit

/// What a time namespace adds to the kernel's clocks, in nanoseconds.
struct TimeOffsets: Equatable {
    var monotonic: Int64 = 0
    var boottime: Int64 = 0

    /// Of a process, or of the namespace that its children will be in; 0 without time namespaces.
    static func of(_ process: Int32) -> TimeOffsets {
        parse((try? Files.text(of: "/proc/\(process)/timens_offsets")) ?? "")
    }

    /// Parses `/proc/PID/timens_offsets`: clock, seconds, nanoseconds in each line.
    static func parse(_ text: String) -> TimeOffsets {
        var offsets = TimeOffsets()
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, let seconds = Int64(words[1]), let rest = Int64(words[2]) else { continue }
            let value = seconds &* 1_000_000_000 &+ rest
            if words[0] == "monotonic" { offsets.monotonic = value }
            if words[0] == "boottime" { offsets.boottime = value }
        }
        return offsets
    }

    /// The lines that the kernel takes. It wants nanoseconds from 0 up.
    var text: String {
        func line(_ clock: String, _ value: Int64) -> String {
            var (seconds, rest) = value.quotientAndRemainder(dividingBy: 1_000_000_000)
            if rest < 0 {
                seconds -= 1
                rest += 1_000_000_000
            }
            return "\(clock) \(seconds) \(rest)\n"
        }
        return line("monotonic", monotonic) + line("boottime", boottime)
    }
}

extension DumpCollector {
    /// Completes the header with the clocks as the tree sees them.
    func readClocks(of root: Int32) {
        let own = TimeOffsets.of(Int32(Kernel.attempt(.getpid)))
        let offsets = TimeOffsets.of(root)
        contents.header.monotonicOffset = offsets.monotonic
        contents.header.boottimeOffset = offsets.boottime
        contents.header.bootID = RestoreTime.bootID()
        func seen(_ clock: UInt64, _ shift: Int64) -> UInt64 {
            UInt64(max(0, Int64(clamping: MonotonicClock.nanoseconds(of: clock)) &+ shift))
        }
        contents.header.monotonicNanoseconds = seen(1, offsets.monotonic &- own.monotonic)
        contents.header.boottimeNanoseconds = seen(7, offsets.boottime &- own.boottime)
        network.advanceClocks(&contents)
    }
}

/// Keeps CLOCK_MONOTONIC and CLOCK_BOOTTIME of a restored tree from jumping.
///
/// In the same boot the clocks of the host simply went on: no restored task sees them go back, and the tree stays in the
/// engine's time namespace. In another one (another host, or after a reboot) they count from elsewhere, so the tree gets
/// a time namespace in which they continue from the moment of the dump. A tree that was in one of its own gets it again.
struct RestoreTime {
    /// The offsets of the namespace to make; `nil` when the engine's own is right.
    static func wanted(_ header: ImageHeader) -> TimeOffsets? {
        let own = TimeOffsets.of(Int32(Kernel.attempt(.getpid)))
        let source = TimeOffsets(monotonic: header.monotonicOffset, boottime: header.boottimeOffset)
        let wanted = here(source, header)
        return wanted == own ? nil : wanted
    }

    /// The offsets that give a namespace of the source the same clocks here.
    static func here(_ source: TimeOffsets, _ header: ImageHeader) -> TimeOffsets {
        if header.bootID == bootID() { return source }
        let own = TimeOffsets.of(Int32(Kernel.attempt(.getpid)))
        /// What the two kernels count without any namespace: the engine and the header see clocks through theirs.
        func shift(_ clock: UInt64, _ dumped: UInt64, _ offset: Int64, _ ownOffset: Int64) -> Int64 {
            (Int64(clamping: dumped) &- offset) &- (Int64(clamping: MonotonicClock.nanoseconds(of: clock)) &- ownOffset)
        }
        return TimeOffsets(
            monotonic: source.monotonic
                &+ shift(1, header.monotonicNanoseconds, header.monotonicOffset, own.monotonic),
            boottime: source.boottime &+ shift(7, header.boottimeNanoseconds, header.boottimeOffset, own.boottime))
    }

    /// How long ago the dump read its clocks; 0 where the host's clock is behind the source's.
    static func elapsedNanoseconds(_ header: ImageHeader) -> UInt64 {
        guard header.bootID == bootID() else {
            let now = MonotonicClock.nanoseconds(of: 0)
            return now > header.realtimeNanoseconds ? now - header.realtimeNanoseconds : 0
        }
        let own = TimeOffsets.of(Int32(Kernel.attempt(.getpid)))
        let now = Int64(clamping: MonotonicClock.nanoseconds(of: 7)) &- own.boottime
        return UInt64(max(0, now &- (Int64(clamping: header.boottimeNanoseconds) &- header.boottimeOffset)))
    }

    /// Changes with every boot.
    static func bootID() -> String {
        ((try? Files.text(of: "/proc/sys/kernel/random/boot_id")) ?? "").filter { $0 != "\n" }
    }

    /// Since 5.6, with CONFIG_TIME_NS.
    static var isPossible: Bool { (try? Files.link("/proc/self/ns/time")) != nil }

    /// Moves the root's stub into the tree's time namespace; its children inherit it.
    ///
    /// - Precondition: The stub has no threads and sees the engine's `/proc`.
    static func enter(_ root: RestoreStub, _ header: ImageHeader) throws(EngineError) {
        guard let wanted = wanted(header), isPossible else { return }
        let flag: UInt64 = 0x80  // CLONE_NEWTIME
        try root.call(.unshare, [flag], doing: "make a time namespace")
        try EngineError.wrap("set the clocks of the new time namespace", task: root.tid) { () throws(LinuxError) in
            try Files.write(Array(wanted.text.utf8), to: "/proc/\(root.outer)/timens_offsets")
        }
        let path = try root.put(text: "/proc/\(root.outer)/ns/time_for_children")
        let fd = try root.call(.openat, [RestoreStub.word(-100), path, 0o2000000], doing: "open the time namespace")
        try root.call(.setns, [fd, flag], doing: "enter the time namespace")
        try root.call(.close, [fd], doing: "close the time namespace")
    }
}

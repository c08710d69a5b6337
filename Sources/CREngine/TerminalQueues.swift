internal import CRImage
internal import LinuxKit

/// What waits in a pseudoterminal, taken out and put back.
///
/// The kernel lets nobody look into these queues without reading them. So a dump reads them empty and writes everything
/// back before it goes on, with settings under which nothing is echoed, translated or taken for a signal; a restore does
/// the second half.
struct TerminalQueues {
    /// Indexes of `c_cc` in `struct termios2`, and where that array begins.
    private enum Character: Int {
        case endOfFile = 4
        case start = 8
        case stop = 9
        case literal = 15
    }

    private static let inputFlags = 0
    private static let outputFlags = 4
    private static let localFlags = 12
    private static let characters = 17
    private static let characterCount = 19
    private static let canonical: UInt32 = 0o2
    private static let extended: UInt32 = 0o100000  // IEXTEN
    private static let external: UInt32 = 0o200000  // EXTPROC
    private static let flowControl: UInt32 = 0o2000  // IXON
    /// The line discipline has room for 4096 bytes and keeps one free (N_TTY_BUF_SIZE).
    private static let room = 4095

    /// With O_NONBLOCK for ``refill(_:)``.
    let master: Int32
    /// An open file of the engine's own, with O_NONBLOCK.
    let slave: Int32
    /// `struct termios2` of the slave.
    let settings: [UInt8]

    /// Whether reads give lines.
    private var isCanonical: Bool {
        settings.half(at: Self.localFlags) & (Self.canonical | Self.external) == Self.canonical
    }

    /// The settings without anything that changes, echoes or interprets bytes. IXON stays: a change of it would start
    /// stopped output.
    private func quiet(lines: Bool, flowControl: Bool? = nil, _ set: [(Character, UInt8)] = []) -> [UInt8] {
        var words = settings
        let isFlowing = settings.half(at: Self.inputFlags) & Self.flowControl != 0
        Self.put(flowControl ?? isFlowing ? Self.flowControl : 0, Self.inputFlags, &words)
        Self.put(0, Self.outputFlags, &words)
        // A change of ICANON or EXTPROC forgets where lines end, so they change only while the queue is empty.
        let external = settings.half(at: Self.localFlags) & Self.external
        Self.put((lines ? Self.canonical | Self.extended : 0) | external, Self.localFlags, &words)
        for index in 0..<Self.characterCount { words[Self.characters + index] = 0 }
        for (character, value) in set { words[Self.characters + character.rawValue] = value }
        return words
    }

    private static func put(_ value: UInt32, _ offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }

    // MARK: Taking out

    /// Empties both queues into the record.
    ///
    /// - Precondition: Packet mode is off, and nobody else reads or writes.
    func drain(into record: inout TerminalRecord) throws(LinuxError) {
        try Terminals.set(.settings, of: master, to: quiet(lines: isCanonical))
        while try Files.poll(master, events: 1) & 1 != 0 {  // POLLIN
            guard let bytes = try Terminals.read(master, atMost: 65536), !bytes.isEmpty else { break }
            record.output += bytes
        }
        // Only now: while the output queue is full the same is seen as when it is stopped. POLLOUT
        record.isStopped = try Files.poll(slave, events: 4) & 4 == 0
        if isCanonical {
            while try Files.poll(slave, events: 1) & 1 != 0 {
                guard let line = try Terminals.read(slave, atMost: 65536) else { break }
                record.lines.append(line)
            }
            try Terminals.set(.settings, of: master, to: quiet(lines: false))
        }
        while let bytes = try Terminals.read(slave, atMost: 65536), !bytes.isEmpty { record.typed += bytes }
        Self.splitUntreated(&record)
    }

    /// What is more than the line discipline can hold waited before it, untreated.
    private static func splitUntreated(_ record: inout TerminalRecord) {
        var left = room
        for (index, line) in record.lines.enumerated() {
            let length = line.count + (line.last == 10 ? 0 : 1)
            if length <= left {
                left -= length
                continue
            }
            record.untreated = record.lines[index...].flatMap { $0 } + record.typed
            record.lines.removeSubrange(index...)
            record.typed = []
            return
        }
        if record.typed.count > left {
            record.untreated = Array(record.typed[left...])
            record.typed = Array(record.typed[..<left])
        }
    }

    // MARK: Putting back

    /// Fills both queues from the record, and gives the terminal its settings.
    ///
    /// - Precondition: Packet mode is off, the queues are empty, and nobody else reads or writes.
    func refill(_ record: TerminalRecord) throws(LinuxError) {
        if record.isStopped {
            // TCOOFF, TCOON: only what tcflow(3) has stopped does it start.
            try Terminals.act(.flow, on: slave, 0)
            try Terminals.act(.flow, on: slave, 1)
        }
        let stop: UInt8 = 0x13
        let start: UInt8 = 0x11
        let literal: UInt8 = 0x16
        let end: UInt8 = 0x04
        if isCanonical, !(record.lines.isEmpty && record.typed.isEmpty) {
            try Terminals.set(
                .settings, of: master,
                to: quiet(
                    lines: true, flowControl: true,
                    [(.stop, stop), (.start, start), (.literal, literal), (.endOfFile, end)]))
            try pour(record.output, into: slave, readBy: master)
            func quoted(_ bytes: some Sequence<UInt8>) -> [UInt8] {
                bytes.flatMap { [stop, start, literal, end, 10].contains($0) ? [literal, $0] : [$0] }
            }
            var bytes: [UInt8] = []
            var count = record.typed.count
            for line in record.lines {
                count += line.count + 1
                if line.last == 10, !line.dropLast().contains(10) {
                    bytes += quoted(line.dropLast()) + [10]
                } else {
                    bytes += quoted(line) + [end]
                }
            }
            try pour(bytes + quoted(record.typed), into: master)
            try awaitTreatment(count, stop: stop, start: start)
        } else {
            try Terminals.set(.settings, of: master, to: quiet(lines: isCanonical, flowControl: false))
            try pour(record.output, into: slave, readBy: master)
            if !record.typed.isEmpty {
                try pour(record.typed, into: master)
                try wait(atMost: 2) { () throws(LinuxError) in
                    try Terminals.number(.queued, of: slave) >= Int32(record.typed.count)
                }
            }
        }
        try Terminals.set(.settings, of: master, to: settings)
        if record.isStopped { try stopAgain() }
        try pour(record.untreated, into: master)
    }

    /// Writes so that as much fits as ever did.
    ///
    /// Behind the line discipline the kernel takes buffers until they make up more than 8 KiB, each for twice its size,
    /// and begins a new one when a write does not fit into what is left of the last. So the pieces are of a buffer's size,
    /// and large ones come where the last buffer begins, which may be a large one.
    ///
    /// - Parameter reader: The other side, when its line discipline has room: that takes the first bytes away.
    private func pour(_ bytes: [UInt8], into fd: Int32, readBy reader: Int32? = nil) throws(LinuxError) {
        let first = reader == nil ? 0 : min(Self.room, bytes.count)
        var done = 0
        while done < bytes.count {
            if done == first, let reader {
                try wait(atMost: 2) { () throws(LinuxError) in
                    try Terminals.number(.queued, of: reader) >= Int32(first)
                }
            }
            let limit = done < first ? first - done : bytes.count - done
            let count = min(limit, done - first < 16384 ? 256 : 1792)
            try Terminals.write(fd, Array(bytes[done..<(done + count)]))
            done += count
        }
    }

    /// Waits until the line discipline has treated what was written: Control-S behind it stops the output, which shows.
    private func awaitTreatment(_ count: Int, stop: UInt8, start: UInt8) throws(LinuxError) {
        guard count < Self.room - 8 else {
            // No room for the two characters. Its worker runs at once; there is nothing to see it by.
            _ = Signals.take(0, timeoutNanoseconds: 50_000_000)
            return
        }
        try Terminals.write(master, [stop])
        try wait(atMost: 2) { () throws(LinuxError) in try Files.poll(slave, events: 4) & 4 == 0 }
        try Terminals.write(master, [start])
        try wait(atMost: 2) { () throws(LinuxError) in try Files.poll(slave, events: 4) & 4 != 0 }
    }

    private func wait(atMost seconds: Double, _ done: () throws(LinuxError) -> Bool) throws(LinuxError) {
        let deadline = Deadline(seconds: seconds)
        while try !done() {
            if deadline.remainingNanoseconds == 0 { throw .deadline("the terminal's queue", seconds: seconds) }
            _ = Signals.take(0, timeoutNanoseconds: 100_000)
        }
    }

    /// By the character where there is one, as the user did; else by the call.
    private func stopAgain() throws(LinuxError) {
        let character = settings[Self.characters + Character.stop.rawValue]
        if settings.half(at: Self.inputFlags) & Self.flowControl != 0, character != 0 {
            try Terminals.write(master, [character])
            do throws(LinuxError) {
                try wait(atMost: 1) { () throws(LinuxError) in try Files.poll(slave, events: 4) & 4 == 0 }
                return
            } catch {
                // The queue is full, so the character waits in it; the call below does no harm then.
            }
        }
        try Terminals.act(.flow, on: slave, 0)  // TCOOFF
    }
}

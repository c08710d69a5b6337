internal import LinuxKit

/// A task that the engine created and that does nothing but the engine's remote calls until it becomes the one of the
/// image.
final class RestoreStub {
    /// Where the engine's own pages lie in every stub: free in the engine and in every address space of the image. All
    /// but the code is memory that the engine and the stubs share.
    struct Area {
        var start: UInt64
        /// Argument pages behind the code.
        static let dataBytes: UInt64 = 7 * 4096
        /// Code, argument pages, lanes.
        static let pagesBytes: UInt64 = 0x100000
        /// Where this kernel's vDSO waits while the old address space is removed.
        static let parkingOffset = pagesBytes
        static let sizeBytes: UInt64 = 0x180000

        var code: UInt64 { start }
        var data: UInt64 { start + 4096 }
        var lanes: UInt64 { data + Self.dataBytes }
        var benchCode: UInt64 { start + 1024 }
        var parking: UInt64 { start + Self.parkingOffset }
        var end: UInt64 { start + Self.sizeBytes }
    }

    /// TID in the image.
    let tid: Int32
    /// PID in the image of the process that a thread belongs to; `tid` for the first task.
    var process: Int32
    /// TID as the engine sees it.
    let outer: Int32
    let remote: RemoteTask
    let area: Area
    /// What its memory was built from; `nil` while it is still the engine's.
    var memory: RestoreMemory?

    init(tid: Int32, outer: Int32, remote: RemoteTask, area: Area) {
        self.tid = tid
        process = tid
        self.outer = outer
        self.remote = remote
        self.area = area
    }

    /// Writes arguments into the argument pages.
    ///
    /// - Returns: Their address.
    func put(_ bytes: [UInt8], at offset: UInt64 = 0) throws(EngineError) -> UInt64 {
        guard UInt64(bytes.count) + offset <= RestoreStub.Area.dataBytes else {
            throw .derailed(task: tid, "an argument of \(bytes.count) bytes is longer than the room for it")
        }
        try remote.write(bytes, at: area.data + offset)
        return area.data + offset
    }

    func put(words: [UInt64], at offset: UInt64 = 0) throws(EngineError) -> UInt64 {
        try put(words.littleEndianBytes, at: offset)
    }

    func put(text: String, at offset: UInt64 = 0) throws(EngineError) -> UInt64 {
        try put(Array(text.utf8) + [0], at: offset)
    }

    /// Writes arguments for ``later(_:_:doing:)``: they stay until the call has been made.
    ///
    /// - Returns: Their address.
    func hold(_ bytes: [UInt8]) throws(EngineError) -> UInt64 {
        guard let lanes = remote.lanes else {
            // Nothing is put off: all of these are for the next call, or the one behind it.
            let room = (UInt64(bytes.count) + 7) & ~7
            if heldOffset + room > RemoteLanes.heldBytes { heldOffset = 0 }
            guard room <= RemoteLanes.heldBytes else {
                throw .derailed(task: tid, "an argument of \(bytes.count) bytes is longer than the room for it")
            }
            defer { heldOffset += room }
            try remote.write(bytes, at: area.lanes + heldOffset)
            return area.lanes + heldOffset
        }
        return try remote.hold(bytes, in: lanes)
    }

    /// Where the next held arguments go, of a stub without lanes.
    private var heldOffset: UInt64 = 0

    func hold(words: [UInt64]) throws(EngineError) -> UInt64 { try hold(words.littleEndianBytes) }

    /// Makes a call that must succeed, before the next one that is not put off, together with others in one stop.
    func later(
        _ call: SystemCall, _ arguments: [UInt64], doing: @autoclosure @escaping () -> String
    ) throws(EngineError) {
        try remote.later(call, arguments, doing: doing)
    }

    /// Makes the calls that were put off.
    func flush() throws(EngineError) {
        try remote.flush()
        heldOffset = 0
    }

    /// Lets the task make the calls that were put off while the engine goes on; errors show at the next call or
    /// ``RestoreTree/settle()``.
    ///
    /// - Precondition: None of them has arguments that ``put(_:at:)`` has written.
    func launch() throws(EngineError) {
        try remote.launch()
        if remote.lanes == nil { heldOffset = 0 }
    }

    /// Waits until it stands, with all its calls made: for requests of ptrace(2) that do not go through ``remote``.
    func stand() throws(EngineError) {
        try flush()
        try remote.awaitBirth()
    }

    /// Makes a call that must succeed.
    @discardableResult
    func call(_ call: SystemCall, _ arguments: [UInt64], doing: String) throws(EngineError) -> UInt64 {
        let answer = try remote.attempt(call, arguments)
        if let errno = Kernel.errno(of: answer) { throw .remote(call: call.name, task: tid, errno, doing: doing) }
        return UInt64(bitPattern: answer)
    }

    /// Makes a call that may fail.
    ///
    /// - Returns: `nil` on success.
    func attempt(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Errno? {
        Kernel.errno(of: try remote.attempt(call, arguments))
    }

    /// Sign-extends like C does when an `int` goes into a register.
    static func word(_ value: Int32) -> UInt64 { UInt64(bitPattern: Int64(value)) }
}

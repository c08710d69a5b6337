internal import LinuxKit

/// The content of a pipe, read without taking anything out.
struct PipeContent {
    private(set) var capacityBytes: Int
    private(set) var bytes: [UInt8] = []
    private(set) var packets: [UInt64] = []

    /// Copies the pipe's buffers with tee(2) into a pipe of the engine and reads them there.
    ///
    /// - Parameter path: `/proc/PID/fd/N` of either end; opening it makes a reading end of the engine's own.
    init(of path: String, isPacket: Bool) throws(LinuxError) {
        let source = try Files.open(path, [.readOnly, .nonBlocking])
        defer { Files.close(source) }
        capacityBytes = Int(try Kernel.call(.fcntl, Kernel.number(source), 1032, on: path))  // F_GETPIPE_SZ
        var waiting: Int32 = 0
        // SAFETY: FIONREAD writes one int.
        let asked = withUnsafeMutablePointer(to: &waiting) {
            Kernel.attempt(.ioctl, Kernel.number(source), 0x541b, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: asked) { throw .call("ioctl(FIONREAD)", object: path, errno) }
        if waiting == 0 { return }
        let copy = try Files.pipe(nonBlocking: true)
        defer {
            Files.close(copy.read)
            Files.close(copy.write)
        }
        // F_SETPIPE_SZ
        try Kernel.call(.fcntl, Kernel.number(copy.write), 1031, UInt64(capacityBytes), on: "a new pipe")
        let copied = try Kernel.call(
            .tee, Kernel.number(source), Kernel.number(copy.write), UInt64(waiting), 2, on: path)  // SPLICE_F_NONBLOCK
        guard copied == UInt64(waiting) else {
            throw .malformed(path, why: "tee copied \(copied) of \(waiting) bytes")
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while bytes.count < Int(waiting) {
            var count = 0
            var failure: LinuxError?
            buffer.withUnsafeMutableBytes { buffer in
                do throws(LinuxError) { count = try Files.read(copy.read, into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            guard count > 0 else { throw .malformed(path, why: "its copy ends early") }
            bytes.append(contentsOf: buffer[..<count])
            // A read never crosses the border of a packet.
            if isPacket { packets.append(UInt64(count)) }
        }
    }
}

/// Tells an eventfd with EFD_SEMAPHORE from one without, on kernels before 6.5, which do not show it.
enum EventfdProbe {
    /// Reads once from a counter of at least 2 and puts everything back: a semaphore gives 1, another gives all.
    ///
    /// - Precondition: Every task that could see the counter stands still.
    static func isSemaphore(_ fd: Int32, count: UInt64, _ process: Int32, _ object: String) throws(EngineError) -> Bool
    {
        func add(_ value: UInt64) throws(LinuxError) { try Files.write(fd, [value].littleEndianBytes) }
        func take() throws(LinuxError) -> UInt64 {
            var bytes = [UInt8](repeating: 0, count: 8)
            var failure: LinuxError?
            bytes.withUnsafeMutableBytes { buffer in
                do throws(LinuxError) { _ = try Files.read(fd, into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            return bytes.word(at: 0)
        }
        return try EngineError.wrap("probe \(object)", task: process) { () throws(LinuxError) in
            let padding: UInt64 = count < 2 ? 2 : 0
            if padding > 0 { try add(padding) }
            let first = try take()
            guard first == 1 else {
                if count > 0 { try add(count) }
                return false
            }
            // Left: count + padding - 1. Take or add until it is count again.
            if padding > 0 { _ = try take() } else { try add(1) }
            return true
        }
    }
}

internal import CLinux

/// A thread of this process.
public final class WorkerThread {
    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// On how many processors this process may run; 1 when that is not known.
    public static let processors: Int = {
        var mask = [UInt64](repeating: 0, count: 128)
        let bytes = UInt64(mask.count * 8)
        // SAFETY: the kernel writes at most that many bytes.
        let answer = mask.withUnsafeMutableBytes {
            Kernel.attempt(.sched_getaffinity, 0, bytes, Kernel.number(UnsafeRawPointer($0.baseAddress)))
        }
        if Kernel.errno(of: answer) != nil { return 1 }
        return mask.reduce(0) { $0 + $1.nonzeroBitCount }
    }()

    private let handle: UInt

    /// Starts it. It inherits the calling thread's signal mask.
    public init(_ body: @escaping @Sendable () -> Void) throws(LinuxError) {
        // SAFETY: the thread takes over the reference, and gives it up when the body has returned.
        let context = Unmanaged.passRetained(Box(body))
        var handle: UInt = 0
        let answer = crl_start_thread(
            1 << 20,
            { context in
                guard let context else { return }
                let box = Unmanaged<Box>.fromOpaque(context).takeRetainedValue()
                box.body()
            }, context.toOpaque(), &handle)
        if answer != 0 {
            context.release()
            throw .call("pthread_create", object: "a thread", Errno(rawValue: -answer))
        }
        self.handle = handle
    }

    /// Waits for its end; call once.
    public func join() { _ = crl_join_thread(handle) }
}

/// A counter that threads wait for: eventfd(2) as a semaphore.
public final class CountingSemaphore: Sendable {
    private let fd: Int32

    /// - Parameter count: How many waits go through at once.
    public init(_ count: UInt64) throws(LinuxError) {
        // EFD_SEMAPHORE | EFD_CLOEXEC
        let answer = Kernel.attempt(.eventfd2, count, 0o2000001)
        if let errno = Kernel.errno(of: answer) { throw .call("eventfd2", object: "a semaphore", errno) }
        fd = Int32(answer)
    }

    deinit { Files.close(fd) }

    /// Lets one wait through.
    public func signal() {
        var one: UInt64 = 1
        // SAFETY: the kernel reads eight bytes.
        _ = withUnsafePointer(to: &one) {
            Kernel.attempt(.write, Kernel.number(fd), Kernel.number(UnsafeRawPointer($0)), 8)
        }
    }

    /// Waits until there was a signal for it.
    public func wait() {
        var value: UInt64 = 0
        while true {
            // SAFETY: the kernel writes eight bytes.
            let answer = withUnsafeMutablePointer(to: &value) {
                Kernel.attempt(.read, Kernel.number(fd), Kernel.number(UnsafeRawPointer($0)), 8)
            }
            if Kernel.errno(of: answer) != .interrupted { return }
        }
    }
}

import Glibc

/// A thread of its own for work that blocks, off the pool that `async` code shares.
enum OSThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a detached thread.
    ///
    /// - Returns: `false` when the system gives no more threads.
    static func start(_ run: @escaping @Sendable () -> Void) -> Bool {
        // SAFETY: the box is retained here and released by the thread, which takes it back exactly once.
        let box = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let answer = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, box.toOpaque())
        guard answer == 0 else {
            box.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}

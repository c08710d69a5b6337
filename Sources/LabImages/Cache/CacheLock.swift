import Foundation
import SystemPackage

/// Advisory locks on files of the cache. The kernel drops them when their process ends, however it ends.
final class CacheLock: Sendable {
    private let descriptor: FileDescriptor

    private init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

    deinit {
        // A close alone would leave it to a child that is just being started and shares it.
        _ = flock(descriptor.rawValue, LOCK_UN)
        try? descriptor.close()
    }

    /// Waits for a lock.
    ///
    /// - Throws: `ImagesError.cacheBusy` with the holder's own words when it cannot be had in time.
    static func acquire(
        _ path: FilePath, exclusive: Bool, seconds: Int64
    ) async throws(ImagesError) -> CacheLock {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if let lock = try attempt(path, exclusive: exclusive) { return lock }
            guard ContinuousClock.now < deadline else {
                let holder = ((try? Files.text(path)) ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
                throw .cacheBusy(path: path.string, holder: holder, seconds: seconds)
            }
            // flock(2) reports no event and has no timeout, so asking again is all one can do.
            do {
                try await Task.sleep(for: .milliseconds(50))
            } catch {
                throw .cacheBusy(path: path.string, holder: "", seconds: 0)
            }
        }
    }

    /// - Returns: `nil` when another process holds it.
    static func attempt(_ path: FilePath, exclusive: Bool) throws(ImagesError) -> CacheLock? {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw .fileFailed(path: path.string, action: "open the lock", why: "\(error)")
        }
        guard flock(descriptor.rawValue, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 else {
            try? descriptor.close()
            return nil
        }
        let lock = CacheLock(descriptor)
        if exclusive { lock.sign() }
        return lock
    }

    /// Leaves word of who holds it; only for messages.
    private func sign() {
        _ = try? descriptor.resize(to: 0)
        _ = try? descriptor.writeAll("process \(ProcessInfo.processInfo.processIdentifier)\n".utf8)
    }
}

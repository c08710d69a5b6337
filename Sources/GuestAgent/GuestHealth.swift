import LinuxKit

/// What of a guest has to be after an operation as it was before: memory, mounts, and the time of day.
struct GuestHealth: Sendable, Hashable {
    /// Why the guest must not be used again.
    struct Taint: Sendable, Hashable {
        /// One of `StageEvidence`'s taints.
        var word: String
        var message: String
    }

    /// `MemTotal` and `MemAvailable`; the second one counts what the kernel could take back from its caches.
    var memoryBytes: UInt64
    var availableBytes: UInt64
    /// In the agent's own mount namespace, which no cell shares.
    var mounts: Int
    /// Wall clock minus monotonic clock: only setting the wall clock changes it.
    var clockNanoseconds: Int64

    /// More than this is gone for good: an eighth, and at least 64 MiB, because kernel caches that cannot be taken back
    /// grow with every cell.
    private var memoryLimit: UInt64 { max(64 << 20, memoryBytes / 8) }
    private static let clockLimit: Int64 = 1_000_000_000

    /// Whether too much memory is gone now.
    func lacksMemory(_ now: GuestHealth) -> Bool { now.availableBytes + memoryLimit < availableBytes }

    /// What is no longer as it was.
    func taints(of now: GuestHealth) -> [Taint] {
        var taints: [Taint] = []
        if lacksMemory(now) {
            let lost = (availableBytes - now.availableBytes) >> 20
            taints.append(Taint(word: "memory", message: "\(lost) MiB of memory did not come back"))
        }
        if now.mounts != mounts {
            taints.append(Taint(word: "mounts", message: "the guest had \(mounts) mounts and has \(now.mounts)"))
        }
        let jump = now.clockNanoseconds - clockNanoseconds
        if abs(jump) > Self.clockLimit {
            taints.append(Taint(word: "clock", message: "the wall clock was moved by \(jump / 1_000_000) ms"))
        }
        return taints
    }

    /// The guest as it is.
    static func now() -> GuestHealth {
        let memory = (try? Files.text(of: "/proc/meminfo")) ?? ""
        let mounts = (try? Files.text(of: "/proc/self/mountinfo")) ?? ""
        return GuestHealth(memory: memory, mounts: mounts, clockNanoseconds: clockOffset())
    }

    /// - Parameters:
    ///   - memory: The text of `/proc/meminfo`.
    ///   - mounts: The text of `/proc/self/mountinfo`.
    init(memory: String, mounts: String, clockNanoseconds: Int64) {
        memoryBytes = Self.bytes("MemTotal:", in: memory)
        availableBytes = Self.bytes("MemAvailable:", in: memory)
        self.mounts = mounts.utf8.count { $0 == UInt8(ascii: "\n") }
        self.clockNanoseconds = clockNanoseconds
    }

    private static func bytes(_ key: String, in text: String) -> UInt64 {
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        return (line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
    }

    private static func clockOffset() -> Int64 {
        Int64(clamping: MonotonicClock.nanoseconds(of: 0)) - Int64(clamping: MonotonicClock.nanoseconds())
    }
}

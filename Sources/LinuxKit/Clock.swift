internal import CLinux

/// The monotonic clock, for deadlines and timings.
public enum MonotonicClock {
    /// Nanoseconds since an arbitrary start; does not count suspend.
    public static func nanoseconds() -> UInt64 { nanoseconds(of: 1) }

    /// Nanoseconds of any clock: CLOCK_REALTIME 0, CLOCK_MONOTONIC 1, CLOCK_BOOTTIME 7.
    public static func nanoseconds(of clock: UInt64) -> UInt64 {
        var time: (Int64, Int64) = (0, 0)
        // By libc, which asks the vDSO: a dump looks at the clock for every stop of every task.
        crl_clock(Int32(truncatingIfNeeded: clock), &time.0, &time.1)
        return UInt64(time.0) * 1_000_000_000 + UInt64(time.1)
    }
}

/// A point in monotonic time after which waiting stops.
public struct Deadline: Sendable, Hashable {
    /// On the clock of ``MonotonicClock``.
    public let nanoseconds: UInt64
    /// For the error message.
    public let seconds: Double

    /// So many seconds from now.
    public init(seconds: Double) {
        self.seconds = seconds
        nanoseconds = MonotonicClock.nanoseconds() + UInt64(seconds * 1e9)
    }

    /// What is left; 0 when it has passed.
    public var remainingNanoseconds: UInt64 {
        let now = MonotonicClock.nanoseconds()
        return now >= nanoseconds ? 0 : nanoseconds - now
    }
}

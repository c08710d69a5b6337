/// The clock that a TCP connection puts into its segments (RFC 7323).
///
/// Peers drop whatever is older than what they have seen, and a connection goes on sending between the moment in which it
/// is read and its end: segments that nobody acknowledges, since its peer's packets are kept away. So a restored clock must
/// not go on from where it was read.
enum ConnectionClock {
    /// TCPI_OPT_USEC_TS (6.7): it counts microseconds. Others count milliseconds.
    static let microseconds: UInt32 = 64

    /// The value with its unit in the lowest bit, as TCP_TIMESTAMP has it from 6.7 on; before, that bit is like any other.
    static func marked(_ value: UInt32, options: UInt32) -> UInt32 {
        options & microseconds != 0 ? value | 1 : (value &+ 1) & ~1
    }

    /// What it shows after some time.
    ///
    /// - Parameter nanoseconds: More than twelve days count as twelve: no peer waits that long, and the clock of one of the
    ///   hosts is wrong.
    static func later(_ value: UInt32, byNanoseconds nanoseconds: UInt64) -> UInt32 {
        let unit: UInt64 = value & 1 == 1 ? 1000 : 1_000_000
        // Rounded up, to a number that leaves the mark alone.
        let ticks = min((nanoseconds + unit - 1) / unit, 1 << 30)
        return value &+ UInt32((ticks + 1) & ~1)
    }
}

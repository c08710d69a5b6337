public import CRModel

/// The version of frames and messages. Agent and lab of different versions do not talk to each other.
public enum GuestProtocol {
    public static let version = 1
    /// Name of the virtio-serial port that the agent looks for.
    public static let portName = "crlab.agent"
    /// Serial number of the disk with runtimes, by which the agent finds it.
    public static let runtimeDiskSerial = "runtimes"
}

/// The agent's first words.
public struct Hello: Codable, Hashable, Sendable {
    public var protocolVersion: Int
    public var agentVersion: String
    /// Seconds since the guest kernel started.
    public var uptimeSeconds: Double

    public init(protocolVersion: Int, agentVersion: String, uptimeSeconds: Double) {
        self.protocolVersion = protocolVersion
        self.agentVersion = agentVersion
        self.uptimeSeconds = uptimeSeconds
    }
}

/// The lab's answer, and what `reseed` carries: what a guest, a clone above all, cannot know by itself.
public struct Welcome: Codable, Hashable, Sendable {
    public var protocolVersion: Int
    /// Seconds since 1970 and nanoseconds in that second, from the lab machine.
    public var wallClockSeconds: Int64
    public var wallClockNanoseconds: Int64
    /// Hexadecimal; mixed into the guest kernel's random number generator.
    public var randomness: String
    /// Identity of the root disk image, for the fingerprint; empty when it has none.
    public var diskIdentity: String
    /// TSC frequency that the kernel was told, in kHz; 0 when it was not.
    public var tscKilohertz: Int
    /// Settings of the running kernel by name, to be made in the guest and in every cell; `nil` for none.
    public var sysctl: [String: String]?

    public init(
        protocolVersion: Int, wallClockSeconds: Int64, wallClockNanoseconds: Int64, randomness: String,
        diskIdentity: String, tscKilohertz: Int, sysctl: [String: String]? = nil
    ) {
        self.protocolVersion = protocolVersion
        self.wallClockSeconds = wallClockSeconds
        self.wallClockNanoseconds = wallClockNanoseconds
        self.randomness = randomness
        self.diskIdentity = diskIdentity
        self.tscKilohertz = tscKilohertz
        self.sysctl = sysctl
    }
}

/// The guest is prepared and takes requests.
public struct Ready: Codable, Hashable, Sendable {
    public var fingerprint: HostFingerprint
    /// How long ``Calibration`` took in the guest, in nanoseconds.
    public var calibrationNanoseconds: UInt64
    /// What could not be prepared and was not essential, one sentence each.
    public var warnings: [String]
    /// Settings that could not be made, each with the reason; `nil` when all could.
    public var refusedSettings: [String: String]?

    public init(
        fingerprint: HostFingerprint, calibrationNanoseconds: UInt64, warnings: [String],
        refusedSettings: [String: String]? = nil
    ) {
        self.fingerprint = fingerprint
        self.calibrationNanoseconds = calibrationNanoseconds
        self.warnings = warnings
        self.refusedSettings = refusedSettings
    }
}

/// A fixed piece of work that guest and lab both time: the ratio scales every deadline.
public enum Calibration {
    /// Runs the work: arithmetic and dependent memory reads, a few milliseconds on the lab machine.
    ///
    /// - Returns: A value that depends on all of it, so that the compiler keeps it.
    public static func work() -> UInt64 {
        var table = [UInt64](repeating: 0, count: 4096)
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        for round in 0..<400_000 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            let index = Int(truncatingIfNeeded: state & 4095)
            table[index] = table[index] &+ state &+ UInt64(truncatingIfNeeded: round)
            state = state &+ table[Int(truncatingIfNeeded: state >> 20 & 4095)]
        }
        return state
    }
}

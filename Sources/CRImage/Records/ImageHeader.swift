/// The first record: who wrote the image, where, and of what.
public struct ImageHeader: ImageValue {
    /// Version of the engine that dumped.
    public var engineVersion = ""
    /// `HostFingerprint` of the source host as JSON text. Kept whole, so that a later reader can ask what this one does
    /// not: which features the workload may have latched.
    public var fingerprint = ""
    /// The container spec that the workload ran under, as JSON text; empty when it ran under none.
    public var spec = ""
    /// PID of the root process, in the workload's PID namespace.
    public var root: Int32 = 0
    /// `uname -r` of the source host.
    public var kernelRelease = ""
    /// State components that the source's kernel enabled; 0 without XSAVE.
    public var xcr0: UInt64 = 0
    /// Size of the source's extended-state area; 0 without XSAVE.
    public var xstateBytes: UInt32 = 0
    /// Where the source's state components lie in the standard form, packed by ``StateComponent``; empty when not known.
    public var xstateComponents: [UInt64] = []
    /// CLOCK_REALTIME of the dump, in nanoseconds.
    public var realtimeNanoseconds: UInt64 = 0
    /// CLOCK_MONOTONIC of the dump, in nanoseconds: timers and sleeps of the workload count on it.
    public var monotonicNanoseconds: UInt64 = 0
    /// CLOCK_BOOTTIME of the dump, in nanoseconds.
    public var boottimeNanoseconds: UInt64 = 0
    /// What the workload's time namespace adds to the source kernel's CLOCK_MONOTONIC and CLOCK_BOOTTIME.
    public var monotonicOffset: Int64 = 0
    public var boottimeOffset: Int64 = 0
    /// `/proc/sys/kernel/random/boot_id` of the source host: clocks go on by themselves only within one boot.
    public var bootID = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.text("engineVersion", &engineVersion)
        try fields.text("fingerprint", &fingerprint)
        try fields.text("spec", &spec)
        try fields.number("root", &root)
        try fields.text("kernelRelease", &kernelRelease)
        try fields.hex("xcr0", &xcr0)
        try fields.number("xstateBytes", &xstateBytes)
        try fields.words("xstateComponents", &xstateComponents)
        try fields.number("realtimeNanoseconds", &realtimeNanoseconds)
        try fields.number("monotonicNanoseconds", &monotonicNanoseconds)
        try fields.number("boottimeNanoseconds", &boottimeNanoseconds)
        try fields.number("monotonicOffset", &monotonicOffset)
        try fields.number("boottimeOffset", &boottimeOffset)
        try fields.text("bootID", &bootID)
    }
}

/// One state component of an XSAVE area: CPUID leaf 0xD, as one word.
public struct StateComponent: Sendable, Hashable {
    public var number: UInt32
    public var offset: Int
    public var sizeBytes: Int

    public init(number: UInt32, offset: Int, sizeBytes: Int) {
        self.number = number
        self.offset = offset
        self.sizeBytes = sizeBytes
    }

    /// Number in bits 56 to 63, offset in 28 to 55, size in 0 to 27.
    public init(packed: UInt64) {
        number = UInt32(packed >> 56)
        offset = Int(packed >> 28 & 0xfff_ffff)
        sizeBytes = Int(packed & 0xfff_ffff)
    }

    /// The word that ``init(packed:)`` reads.
    public var packed: UInt64 {
        UInt64(number) << 56 | UInt64(offset & 0xfff_ffff) << 28 | UInt64(sizeBytes & 0xfff_ffff)
    }
}

/// One decoded x86-64 instruction and what a CPU must have to run it.
public struct Instruction: Hashable, Sendable {
    /// Intel syntax: `vpcmpeqb ymm1, ymm0, ymmword ptr [rdi]`.
    public let text: String
    public let mnemonic: String
    /// The extension as people write it: `AVX2`, `BMI2`, `SSE4.2`.
    public let isaExtension: String
    /// The decoder's finer name (`AVX512BW_256`, `SSE42`).
    public let isaSet: String
    /// In bytes, 1 to 15.
    public let length: Int
    /// Features in the kernel's spelling, sorted, without those that every x86-64 CPU has; empty for baseline
    /// instructions.
    public let requiredFeatures: [String]
    /// Bits of XCR0 that the operating system must have enabled; 0 when none.
    public let requiredState: UInt64

    /// Whether the program stops itself with this instruction (`ud2`, `int3`): such a trap says nothing about the CPU.
    public var isTrap: Bool { ["ud0", "ud1", "ud2", "int3", "int1"].contains(mnemonic) }

    /// Whether a CPU without the feature runs the same bytes as another instruction instead of raising a fault:
    /// `lzcnt` becomes `bsr`, `tzcnt` becomes `bsf`, whose results differ.
    public var runsDifferentlyWhenMissing: Bool { mnemonic == "lzcnt" || mnemonic == "tzcnt" }

    /// Whether a CPU without the feature ignores it: hints and control-flow marks that were assigned to no-operations.
    public var isIgnoredWhenMissing: Bool {
        Self.ignoredWhenMissing.contains(mnemonic) || mnemonic.hasPrefix("bnd")
    }

    private static let ignoredWhenMissing: Set<String> = [
        "endbr64", "endbr32", "rdsspd", "rdsspq", "pause", "cldemote", "prefetchw", "prefetchwt1", "nop",
    ]

    /// Decodes the first instruction of `bytes`.
    ///
    /// - Parameter address: Where it was executed; only makes relative targets in `text` readable.
    /// - Returns: `nil` when the bytes are no valid x86-64 instruction, or too few.
    public static func decode(bytes: [UInt8], address: UInt64) -> Instruction? {
        guard let raw = RawInstruction.decode(bytes: bytes, address: address) else { return nil }
        let vex = raw.encoding == .vex || raw.encoding == .evex
        var features = InstructionFeatures.required(
            isaSet: raw.isaSet, isaExtension: raw.isaExtension, mnemonic: raw.mnemonic)
        // VEX-encoded forms of legacy sets (AES, PCLMULQDQ, GFNI) need AVX too; VEX-encoded general-purpose
        // instructions (BMI) do not.
        let usesVectors = vex && raw.usesVectorRegisters
        if raw.encoding == .vex && usesVectors && !raw.usesMasksOnly { features.insert("avx") }
        // The decoder files the 128-bit form under AVX alone; the CPU checks PCLMULQDQ as well.
        if raw.mnemonic == "vpclmulqdq" && raw.isaSet == "AVX" { features.insert("pclmulqdq") }
        features.subtract(InstructionFeatures.baseline)
        return Instruction(
            text: raw.text, mnemonic: raw.mnemonic, isaExtension: extensionName(raw.isaExtension, raw.isaSet),
            isaSet: raw.isaSet, length: raw.length, requiredFeatures: features.sorted(),
            requiredState: XState.required(
                vex: usesVectors && raw.encoding == .vex && !raw.usesMasksOnly,
                evex: raw.encoding == .evex || raw.usesMasksOnly, isaSet: raw.isaSet))
    }

    /// The decoder has names of its own for some extensions.
    private static func extensionName(_ name: String, _ isaSet: String) -> String {
        let sets = ["SSE4": "SSE4.1", "SSE42": "SSE4.2", "POPCNT": "POPCNT"]
        let names = [
            "AVX512EVEX": "AVX-512", "AVX512VEX": "AVX-512", "AVX2GATHER": "AVX2", "AVXAES": "AES",
            "RDWRFSGS": "FSGSBASE", "ADOX_ADCX": "ADX", "LZCNT": "ABM",
        ]
        return sets[isaSet] ?? names[name] ?? name
    }

    /// Decodes hexadecimal text without spaces, as ``CRModel/FaultEvidence`` keeps it.
    public static func decode(hex: String, address: UInt64) -> Instruction? {
        guard let bytes = bytes(hex: hex), !bytes.isEmpty else { return nil }
        return decode(bytes: bytes, address: address)
    }

    /// Bytes of hexadecimal text; `nil` when a character is no digit or one is left over.
    static func bytes(hex: String) -> [UInt8]? {
        let digits = hex.utf8.map { UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") ? $0 - 48 : ($0 | 0x20) &- 87 }
        guard digits.count.isMultiple(of: 2), digits.allSatisfy({ $0 < 16 }) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

/// State components of XCR0. Source: Intel SDM volume 1, 13.1.
enum XState {
    static let avx: UInt64 = 0x6
    static let avx512: UInt64 = 0xe6
    static let amx: UInt64 = 0x60000

    static func required(vex: Bool, evex: Bool, isaSet: String) -> UInt64 {
        if isaSet.hasPrefix("AMX") { return amx }
        return evex ? avx512 : vex ? avx : 0
    }

    /// Names of the components in `bits`, for people.
    static func names(_ bits: UInt64) -> [String] {
        let known: [(Int, String)] = [
            (0, "x87"), (1, "SSE"), (2, "AVX"), (3, "MPX bounds"), (4, "MPX config"), (5, "AVX-512 masks"),
            (6, "AVX-512 ZMM_Hi256"), (7, "AVX-512 Hi16_ZMM"), (9, "PKRU"), (17, "AMX config"), (18, "AMX tiles"),
        ]
        let named = known.filter { bits & (1 << UInt64($0.0)) != 0 }.map(\.1)
        let rest = known.reduce(bits) { $0 & ~(1 << UInt64($1.0)) }
        return rest == 0 ? named : named + ["others (0x\(String(rest, radix: 16)))"]
    }
}

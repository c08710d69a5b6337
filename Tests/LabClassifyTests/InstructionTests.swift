import CRModel
import LabClassify
import Testing

/// Bytes are from GNU as 2.40; features and state from the Intel and AMD manuals.
@Suite("Instructions decode to what a CPU must have")
struct InstructionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let hex: String
        let mnemonic: String
        let features: [String]
        let state: UInt64
        var testDescription: String { "\(mnemonic) (\(hex))" }

        init(_ hex: String, _ mnemonic: String, _ features: [String], state: UInt64 = 0) {
            self.hex = hex
            self.mnemonic = mnemonic
            self.features = features
            self.state = state
        }
    }

    static let cases = [
        Case("4889d8", "mov", []),
        Case("90", "nop", []),
        Case("480fc70f", "cmpxchg16b", ["cx16"]),
        Case("9f", "lahf", ["lahf_lm"]),
        Case("0f45c3", "cmovnz", []),
        Case("660f3800c1", "pshufb", ["ssse3"]),
        Case("0f3800c1", "pshufb", ["ssse3"]),
        Case("f20f7cc1", "haddps", ["pni"]),
        Case("db0f", "fisttp", ["pni"]),
        Case("660f3814c1", "blendvps", ["sse4_1"]),
        Case("660f3817c1", "ptest", ["sse4_1"]),
        Case("660f3a61c103", "pcmpestri", ["sse4_2"]),
        Case("660f3837c1", "pcmpgtq", ["sse4_2"]),
        Case("f20f38f1c3", "crc32", ["sse4_2"]),
        Case("f3480fb8c3", "popcnt", ["popcnt"]),
        Case("660f79c1", "extrq", ["sse4a"]),
        Case("f3480fbdc3", "lzcnt", ["abm"]),
        Case("f3480fbcc3", "tzcnt", ["bmi1"]),
        Case("c4e2e0f2c1", "andn", ["bmi1"]),
        Case("c4e2f8f3cb", "blsr", ["bmi1"]),
        Case("c4e2f0f7c3", "bextr", ["bmi1"]),
        Case("c4e2f0f5c3", "bzhi", ["bmi2"]),
        Case("c4e2e3f5c1", "pdep", ["bmi2"]),
        Case("c4e2e3f6c1", "mulx", ["bmi2"]),
        Case("c4e3fbf0c305", "rorx", ["bmi2"]),
        Case("c4e2f2f7c3", "sarx", ["bmi2"]),
        Case("480f38f007", "movbe", ["movbe"]),
        Case("66480f38f6c3", "adcx", ["adx"]),
        Case("f3480f38f6c3", "adox", ["adx"]),
        Case("660f38dcc1", "aesenc", ["aes"]),
        Case("c4e271dcc2", "vaesenc", ["aes", "avx"], state: 0x6),
        Case("c4e275dcc2", "vaesenc", ["avx", "vaes"], state: 0x6),
        Case("660f3a44c101", "pclmulqdq", ["pclmulqdq"]),
        Case("c4e37144c201", "vpclmulqdq", ["avx", "pclmulqdq"], state: 0x6),
        Case("c4e37544c201", "vpclmulqdq", ["avx", "vpclmulqdq"], state: 0x6),
        Case("0f38cbca", "sha256rnds2", ["sha_ni"]),
        Case("660f38cfc1", "gf2p8mulb", ["gfni"]),
        Case("c4e275cfc2", "vgf2p8mulb", ["avx", "gfni"], state: 0x6),
        Case("c5fc1007", "vmovups", ["avx"], state: 0x6),
        Case("c5f458c2", "vaddps", ["avx"], state: 0x6),
        Case("c5f1efc2", "vpxor", ["avx"], state: 0x6),
        Case("c5f877", "vzeroupper", ["avx"], state: 0x6),
        Case("c4e27d78c1", "vpbroadcastb", ["avx", "avx2"], state: 0x6),
        Case("c5f5fec2", "vpaddd", ["avx", "avx2"], state: 0x6),
        Case("c5fd740f", "vpcmpeqb", ["avx", "avx2"], state: 0x6),
        Case("c5fdd7c1", "vpmovmskb", ["avx", "avx2"], state: 0x6),
        Case("c4e26d900488", "vpgatherdd", ["avx", "avx2"], state: 0x6),
        Case("c4e275b8c2", "vfmadd231ps", ["avx", "fma"], state: 0x6),
        Case("c4e27d13c1", "vcvtph2ps", ["avx", "f16c"], state: 0x6),
        Case("c4e37d1dc800", "vcvtps2ph", ["avx", "f16c"], state: 0x6),
        Case("c4e27550c2", "vpdpbusd", ["avx", "avx_vnni"], state: 0x6),
        Case("62f1fe486f07", "vmovdqu64", ["avx512f"], state: 0xe6),
        Case("62f17f286f07", "vmovdqu8", ["avx512bw", "avx512f", "avx512vl"], state: 0xe6),
        Case("62e17528fec2", "vpaddd", ["avx512f", "avx512vl"], state: 0xe6),
        Case("62e1f70858c2", "vaddsd", ["avx512f"], state: 0xe6),
        Case("c5f892c8", "kmovw", ["avx512f"], state: 0xe6),
        Case("c4e1fb92c8", "kmovq", ["avx512bw", "avx512f"], state: 0xe6),
        Case("c5f992c8", "kmovb", ["avx512dq", "avx512f"], state: 0xe6),
        Case("62f2f54840c2", "vpmullq", ["avx512dq", "avx512f"], state: 0xe6),
        Case("62f27d48c4c1", "vpconflictd", ["avx512cd", "avx512f"], state: 0xe6),
        Case("62f275488dc2", "vpermb", ["avx512f", "avx512vbmi"], state: 0xe6),
        Case("62f27d4863c8", "vpcompressb", ["avx512_vbmi2", "avx512f"], state: 0xe6),
        Case("62f2754850c2", "vpdpbusd", ["avx512_vnni", "avx512f"], state: 0xe6),
        Case("62f2f548b4c2", "vpmadd52luq", ["avx512f", "avx512ifma"], state: 0xe6),
        Case("62f27d4854c1", "vpopcntb", ["avx512_bitalg", "avx512f"], state: 0xe6),
        Case("62f27d4855c1", "vpopcntd", ["avx512_vpopcntdq", "avx512f"], state: 0xe6),
        Case("62f2764852c2", "vdpbf16ps", ["avx512_bf16", "avx512f"], state: 0xe6),
        Case("62f2774868c2", "vp2intersectd", ["avx512_vp2intersect", "avx512f"], state: 0xe6),
        Case("62f5744858c2", "vaddph", ["avx512_fp16", "avx512f"], state: 0xe6),
        Case("62f27548dcc2", "vaesenc", ["avx512f", "vaes"], state: 0xe6),
        Case("62e17d086ec0", "vmovd", ["avx512f"], state: 0xe6),
        Case("480fc7f0", "rdrand", ["rdrand"]),
        Case("480fc7f8", "rdseed", ["rdseed"]),
        Case("f30fc7f8", "rdpid", ["rdpid"]),
        Case("0f01f9", "rdtscp", ["rdtscp"]),
        Case("f3480faec0", "rdfsbase", ["fsgsbase"]),
        Case("0fae27", "xsave", ["xsave"]),
        Case("0f01d0", "xgetbv", ["xsave"]),
        Case("0fc727", "xsavec", ["xsavec"]),
        Case("0fae37", "xsaveopt", ["xsaveopt"]),
        Case("0fae3f", "clflush", []),
        Case("660fae3f", "clflushopt", ["clflushopt"]),
        Case("660fae37", "clwb", ["clwb"]),
        Case("0f01fc", "clzero", ["clzero"]),
        Case("0f01ee", "rdpkru", ["pku"]),
        Case("0f38f907", "movdiri", ["movdiri"]),
        Case("660f38f807", "movdir64b", ["movdir64b"]),
        Case("0f01e8", "serialize", ["serialize"]),
        Case("660faef0", "tpause", ["waitpkg"]),
        Case("c7f800000000", "xbegin", ["rtm"]),
        Case("c4e3f168c320", "vfmaddps", ["avx", "fma4"], state: 0x6),
        Case("8fe978c1c1", "vphaddbw", ["avx", "xop"], state: 0x6),
        Case("8fe97801cb", "blcfill", ["tbm"]),
        Case("0f0fc19e", "pfadd", ["3dnow"]),
        Case("c4e2784907", "ldtilecfg", ["amx_tile"], state: 0x60000),
        Case("c4e26b5ec1", "tdpbssd", ["amx_int8"], state: 0x60000),
    ]

    @Test("features and state", arguments: cases)
    func features(_ c: Case) throws {
        // Bytes after the instruction must not matter: a fault's evidence always holds more than one instruction.
        let instruction = try #require(Instruction.decode(hex: c.hex + "9090909090", address: 0x401000))
        #expect(instruction.mnemonic == c.mnemonic)
        #expect(instruction.length == c.hex.count / 2)
        #expect(instruction.requiredFeatures == c.features)
        #expect(instruction.requiredState == c.state)
        #expect(!instruction.isTrap)
    }

    @Test("traps are no CPU evidence", arguments: ["0f0b", "cc", "0fb9c0", "0fffc0", "f1"])
    func traps(_ hex: String) throws {
        #expect(try #require(Instruction.decode(hex: hex, address: 0)).isTrap)
    }

    @Test(
        "hints are ignored by CPUs that do not know them", arguments: ["f30f1efa", "0f1c07", "660f1ac1", "f3480f1ec8"])
    func hints(_ hex: String) throws {
        #expect(try #require(Instruction.decode(hex: hex, address: 0)).isIgnoredWhenMissing)
    }

    @Test("lzcnt and tzcnt run as something else", arguments: ["f3480fbdc3", "f3480fbcc3"])
    func countInstructions(_ hex: String) throws {
        #expect(try #require(Instruction.decode(hex: hex, address: 0)).runsDifferentlyWhenMissing)
    }

    @Test("what is no instruction decodes to nothing", arguments: ["", "0", "zz", "c4", "06", "0f", "660f38"])
    func garbage(_ hex: String) {
        #expect(Instruction.decode(hex: hex, address: 0) == nil)
    }
}

/// Which CPU features an instruction needs, in the kernel's spelling of `/proc/cpuinfo`.
///
/// Source: the decoder's ISA-set names on one side, `arch/x86/include/asm/cpufeatures.h` on the other.
enum InstructionFeatures {
    /// What every x86-64 CPU has; never reported as missing.
    static let baseline: Set<String> = [
        "fpu", "cmov", "cx8", "mmx", "fxsr", "sse", "sse2", "clflush", "lm", "syscall", "msr", "tsc", "pae",
    ]

    /// Features of instruction sets that user space can run or latch; a lost one can matter, while a lost `erms` or
    /// `x2apic` cannot make an instruction fault.
    static let instructionSets: Set<String> = {
        var all = Set(single.values.flatMap { $0 }).union(avx512.values)
        all.formUnion(["avx512f", "avx512vl", "movdiri", "movdir64b", "amx_tile"])
        return all.subtracting(baseline)
    }()

    static func required(isaSet: String, isaExtension: String, mnemonic: String) -> Set<String> {
        if let features = single[isaSet] {
            return Set(features).union(mnemonic.hasPrefix("movdir") ? [mnemonic] : [])
        }
        if isaSet.hasPrefix("AVX512") { return avx512Features(isaSet) }
        if isaSet == "MOVDIR" { return [mnemonic] }
        return []
    }

    /// `AVX512BW_256` needs avx512f, avx512bw, and avx512vl because of its length. `128N` marks forms that only touch
    /// the low element and exist without VL.
    private static func avx512Features(_ isaSet: String) -> Set<String> {
        var parts = isaSet.split(separator: "_").map(String.init)
        var features: Set<String> = ["avx512f"]
        if let length = parts.last, ["128", "256", "512", "128N", "SCALAR", "KOP"].contains(length) {
            if length == "128" || length == "256" { features.insert("avx512vl") }
            parts.removeLast()
        }
        if let feature = avx512[parts.joined(separator: "_")] { features.insert(feature) }
        return features
    }

    private static let avx512: [String: String] = [
        "AVX512F": "avx512f", "AVX512BW": "avx512bw", "AVX512CD": "avx512cd", "AVX512DQ": "avx512dq",
        "AVX512ER": "avx512er", "AVX512PF": "avx512pf", "AVX512_4FMAPS": "avx512_4fmaps",
        "AVX512_4VNNIW": "avx512_4vnniw", "AVX512_BF16": "avx512_bf16", "AVX512_BITALG": "avx512_bitalg",
        "AVX512_FP16": "avx512_fp16", "AVX512_GFNI": "gfni", "AVX512_IFMA": "avx512ifma", "AVX512_VAES": "vaes",
        "AVX512_VBMI": "avx512vbmi", "AVX512_VBMI2": "avx512_vbmi2", "AVX512_VNNI": "avx512_vnni",
        "AVX512_VP2INTERSECT": "avx512_vp2intersect", "AVX512_VPCLMULQDQ": "vpclmulqdq",
        "AVX512_VPOPCNTDQ": "avx512_vpopcntdq",
    ]

    private static let single: [String: [String]] = [
        "SSE": ["sse"], "SSEMXCSR": ["sse"], "SSE_PREFETCH": ["sse"], "SSE2": ["sse2"], "SSE2MMX": ["sse2"],
        "SSE3": ["pni"], "SSE3X87": ["pni"], "SSSE3": ["ssse3"], "SSSE3MMX": ["ssse3"], "SSE4": ["sse4_1"],
        "SSE42": ["sse4_2"], "SSE4A": ["sse4a"], "PENTIUMMMX": ["mmx"], "FXSAVE": ["fxsr"], "FXSAVE64": ["fxsr"],
        "AMD3DNOW": ["3dnow"], "POPCNT": ["popcnt"], "LZCNT": ["abm"], "MOVBE": ["movbe"], "BMI1": ["bmi1"],
        "BMI2": ["bmi2"], "TBM": ["tbm"], "LWP": ["lwp"], "ADOX_ADCX": ["adx"], "CMOV": ["cmov"], "FCMOV": ["cmov"],
        "CMPXCHG16B": ["cx16"], "LAHF": ["lahf_lm"], "AES": ["aes"], "AVXAES": ["aes", "avx"],
        "PCLMULQDQ": ["pclmulqdq"], "SHA": ["sha_ni"], "GFNI": ["gfni"], "AVX": ["avx"], "AVX2": ["avx2"],
        "AVX2GATHER": ["avx2"], "AVX_GFNI": ["gfni", "avx"], "AVX_VNNI": ["avx_vnni", "avx"], "F16C": ["f16c", "avx"],
        "FMA": ["fma", "avx"], "FMA4": ["fma4", "avx"], "XOP": ["xop", "avx"], "VAES": ["vaes", "avx"],
        "VPCLMULQDQ": ["vpclmulqdq", "avx"], "AMX_TILE": ["amx_tile"], "AMX_INT8": ["amx_int8"],
        "AMX_BF16": ["amx_bf16"], "RDRAND": ["rdrand"], "RDSEED": ["rdseed"], "RDPID": ["rdpid"],
        "RDTSCP": ["rdtscp"], "RDPRU": ["rdpru"], "RDWRFSGS": ["fsgsbase"], "XSAVE": ["xsave"],
        "XSAVEC": ["xsavec"], "XSAVEOPT": ["xsaveopt"], "XSAVES": ["xsaves"], "CLFSH": ["clflush"],
        "CLFLUSHOPT": ["clflushopt"], "CLWB": ["clwb"], "CLZERO": ["clzero"], "CLDEMOTE": ["cldemote"],
        "MONITOR": ["monitor"], "MONITORX": ["mwaitx"], "ENQCMD": ["enqcmd"], "PKU": ["pku"],
        "SERIALIZE": ["serialize"], "WAITPKG": ["waitpkg"], "RTM": ["rtm"], "TSX_LDTRK": ["tsxldtrk"],
        "UINTR": ["uintr"], "MPX": ["mpx"], "CET": ["user_shstk"], "PREFETCHWT1": ["prefetchwt1"],
        "INVPCID": ["invpcid"], "PT": ["intel_pt"], "PADLOCK_ACE": ["ace"], "PADLOCK_PHE": ["phe"],
        "PADLOCK_PMM": ["pmm"], "PADLOCK_RNG": ["rng"], "SVM": ["svm"], "VTX": ["vmx"], "SMAP": ["smap"],
        "SGX": ["sgx"], "KEYLOCKER": ["aeskle"], "KEYLOCKER_WIDE": ["aeskle"],
    ]
}

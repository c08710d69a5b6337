/// CPU models that crlab is willing to build without some of their features.
public enum CPUModels {
    /// Model to the features that TCG of QEMU 10.0 cannot give and that a scenario's plain model name may do without.
    ///
    /// Measured with `query-cpu-definitions`. What each model is known for stays: Nehalem has no XSAVE, SandyBridge has
    /// AVX, Haswell AVX2 and BMI, Broadwell ADX, EPYC SSE4A and SHA. Skylake-Server is here without its AVX-512; that is
    /// for the reader of a report to know, so the fingerprint, not the name, is compared and shown. Models that would
    /// lose more than they keep (Icelake-Server, SapphireRapids, EPYC-Genoa) are not here: they are not emulable.
    static let reduced: [String: Set<String>] = [
        "Nehalem": [],
        "Westmere": [],
        "SandyBridge": ["tsc-deadline"],
        "IvyBridge": ["tsc-deadline"],
        "Haswell": ["pcid", "tsc-deadline", "hle", "invpcid", "rtm"],
        "Haswell-noTSX": ["pcid", "tsc-deadline", "invpcid"],
        "Broadwell": ["pcid", "tsc-deadline", "hle", "invpcid", "rtm"],
        "Broadwell-noTSX": ["pcid", "tsc-deadline", "invpcid"],
        "Skylake-Client": ["pcid", "tsc-deadline", "hle", "invpcid", "rtm", "xsavec"],
        "Skylake-Server": [
            "pcid", "tsc-deadline", "hle", "invpcid", "rtm", "avx512f", "avx512dq", "avx512cd", "avx512bw",
            "avx512vl", "xsavec",
        ],
        "EPYC": ["fxsr-opt", "misalignsse", "osvw", "topoext", "nrip-save", "xsavec"],
        "EPYC-Rome": [
            "fxsr-opt", "misalignsse", "osvw", "topoext", "perfctr-core", "clzero", "ibpb", "amd-stibp", "nrip-save",
            "xsavec", "xsaves",
        ],
        "EPYC-Milan": [
            "pcid", "invpcid", "fxsr-opt", "misalignsse", "osvw", "topoext", "perfctr-core", "clzero", "ibpb",
            "ibrs", "amd-stibp", "amd-ssbd", "nrip-save", "xsavec", "xsaves",
        ],
        "Opteron_G3": ["misalignsse"],
    ]

    /// The models of the table, by name.
    public static var names: [String] { reduced.keys.sorted() }
}

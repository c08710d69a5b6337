/// One bit of CPUID, by its names and its place.
public struct CPUFeature: Hashable, Sendable {
    /// What the loss of a feature can mean.
    public enum Kind: String, Hashable, Sendable, Codable {
        /// Instructions or state that programs use: without them they get SIGILL, or registers are lost.
        case instructions
        /// Makes what is there faster; nothing depends on it.
        case hint
        /// For the kernel or a hypervisor; programs see at most its name.
        case system
    }

    /// As `/proc/cpuinfo` spells it, also where the kernel does not show it.
    public let name: String
    /// As QEMU's `-cpu` spells it.
    public let qemu: String
    public let kind: Kind
    public let leaf: UInt32
    public let subleaf: UInt32
    /// `eax`, `ebx`, `ecx` or `edx`.
    public let register: String
    public let bit: Int

    /// Where CPUID says it: `CPUID 0x7.0 EBX bit 5`.
    public var place: String { Self.place(leaf, subleaf, register, bit) }

    static func place(_ leaf: UInt32, _ subleaf: UInt32, _ register: String, _ bit: Int) -> String {
        "CPUID 0x\(String(leaf, radix: 16)).\(subleaf) \(register.uppercased()) bit \(bit)"
    }

    /// All features that crlab has names for, by place.
    public static let all: [CPUFeature] = rows.flatMap { row in
        row.bits.split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { CPUFeature(row: row, text: $0) }
    }

    /// By the kernel's name.
    public static let byName: [String: CPUFeature] = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }
    /// By QEMU's name.
    public static let byQEMU: [String: CPUFeature] = Dictionary(all.map { ($0.qemu, $0) }) { first, _ in first }

    private struct Row {
        let leaf: UInt32
        let subleaf: UInt32
        let register: String
        /// `BIT:NAME`, with `=QEMU` behind it where that spelling differs by more than `_` and `-`, and in front `!` for
        /// instructions and state, `~` for hints.
        let bits: String
    }

    private init?(row: Row, text: Substring) {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let bit = Int(parts[0]) else { return nil }
        var rest = parts[1]
        switch rest.first {
        case "!": kind = .instructions
        case "~": kind = .hint
        default: kind = .system
        }
        if kind != .system { rest = rest.dropFirst() }
        let names = rest.split(separator: "=", maxSplits: 1)
        guard let first = names.first else { return nil }
        name = String(first)
        qemu = names.count == 2 ? String(names[1]) : String(first.map { $0 == "_" ? "-" : $0 })
        leaf = row.leaf
        subleaf = row.subleaf
        register = row.register
        self.bit = bit
    }

    /// Source: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; names from the kernel's `cpufeatures.h` and from
    /// `qemu-system-x86_64 -cpu help`.
    private static let rows = [
        Row(
            leaf: 1, subleaf: 0, register: "edx",
            bits: """
                0:!fpu 1:vme 2:de 3:pse 4:!tsc 5:msr 6:pae 7:mce 8:!cx8 9:apic 11:sep 12:mtrr 13:pge 14:mca 15:!cmov \
                16:pat 17:pse36 18:pn 19:!clflush 21:dts=ds 22:acpi 23:!mmx 24:!fxsr 25:!sse 26:!sse2 27:ss 28:ht 29:tm \
                31:pbe
                """),
        Row(
            leaf: 1, subleaf: 0, register: "ecx",
            bits: """
                0:!pni 1:!pclmulqdq 2:dtes64 3:monitor 4:ds_cpl 5:vmx 6:smx 7:est 8:tm2 9:!ssse3 10:cid 12:!fma 13:!cx16 \
                14:xtpr 15:pdcm 17:pcid 18:dca 19:!sse4_1=sse4.1 20:!sse4_2=sse4.2 21:x2apic 22:!movbe 23:!popcnt \
                24:tsc_deadline_timer=tsc-deadline 25:!aes 26:!xsave 28:!avx 29:!f16c 30:!rdrand 31:hypervisor
                """),
        Row(
            leaf: 7, subleaf: 0, register: "ebx",
            bits: """
                0:!fsgsbase 1:tsc_adjust 2:!sgx 3:!bmi1 4:!hle 5:!avx2 6:fdp_excptn_only 7:smep 8:!bmi2 9:~erms \
                10:invpcid 11:!rtm 12:cqm 13:zero_fcs_fds 14:!mpx 15:rdt_a 16:!avx512f 17:!avx512dq 18:!rdseed 19:!adx \
                20:smap 21:!avx512ifma 22:pcommit 23:!clflushopt 24:!clwb 25:intel_pt 26:!avx512pf 27:!avx512er \
                28:!avx512cd 29:!sha_ni 30:!avx512bw 31:!avx512vl
                """),
        Row(
            leaf: 7, subleaf: 0, register: "ecx",
            bits: """
                1:!avx512vbmi 2:umip 3:!pku 4:ospke 5:!waitpkg 6:!avx512_vbmi2=avx512vbmi2 7:!user_shstk=shstk 8:!gfni \
                9:!vaes 10:!vpclmulqdq 11:!avx512_vnni=avx512vnni 12:!avx512_bitalg=avx512bitalg 13:tme \
                14:!avx512_vpopcntdq 16:la57 22:!rdpid 24:bus_lock_detect 25:~cldemote 27:!movdiri 28:!movdir64b \
                29:!enqcmd 30:sgx_lc=sgxlc 31:pks
                """),
        Row(
            leaf: 7, subleaf: 0, register: "edx",
            bits: """
                2:!avx512_4vnniw 3:!avx512_4fmaps 4:~fsrm 5:!uintr 8:!avx512_vp2intersect 10:md_clear 14:!serialize \
                16:!tsxldtrk=tsx-ldtrk 18:pconfig 19:arch_lbr 20:!ibt 22:!amx_bf16 23:!avx512_fp16 24:!amx_tile \
                25:!amx_int8 26:spec_ctrl 27:stibp 28:flush_l1d 29:arch_capabilities 30:core_capability 31:ssbd
                """),
        Row(
            leaf: 7, subleaf: 1, register: "eax",
            bits: """
                0:!sha512 1:!sm3 2:!sm4 4:!avx_vnni 5:!avx512_bf16 6:lass 7:!cmpccxadd 10:~fzrm 11:~fsrs 12:~fsrc 17:fred \
                18:lkgs 19:wrmsrns 21:!amx_fp16 23:!avx_ifma 26:lam
                """),
        Row(
            leaf: 7, subleaf: 1, register: "edx",
            bits: """
                4:!avx_vnni_int8 5:!avx_ne_convert 8:!amx_complex 10:!avx_vnni_int16 14:~prefetchiti 19:!avx10
                """),
        Row(leaf: 0xd, subleaf: 1, register: "eax", bits: "0:!xsaveopt 1:!xsavec 2:!xgetbv1 3:xsaves 4:xfd"),
        Row(
            leaf: 0x8000_0001, subleaf: 0, register: "edx",
            bits: "11:!syscall 20:nx 22:!mmxext 25:~fxsr_opt 26:pdpe1gb 27:!rdtscp 29:!lm 30:!3dnowext 31:!3dnow"),
        Row(
            leaf: 0x8000_0001, subleaf: 0, register: "ecx",
            bits: """
                0:!lahf_lm 1:cmp_legacy 2:svm 3:extapic 4:cr8_legacy=cr8legacy 5:!abm 6:!sse4a 7:!misalignsse \
                8:!3dnowprefetch 9:osvw 10:ibs 11:!xop 12:skinit 13:wdt 15:!lwp 16:!fma4 17:tce 19:nodeid_msr 21:!tbm \
                22:topoext 23:perfctr_core 24:perfctr_nb 29:!mwaitx
                """),
        Row(leaf: 0x8000_0007, subleaf: 0, register: "edx", bits: "8:nonstop_tsc=invtsc"),
        Row(
            leaf: 0x8000_0008, subleaf: 0, register: "ebx",
            bits: """
                0:!clzero 2:xsaveerptr 4:!rdpru 9:wbnoinvd 12:ibpb 13:int_wbinvd 14:ibrs 15:amd_stibp 17:stibp_always_on 24:amd_ssbd 25:virt_ssbd \
                26:amd_no_ssb 27:cppc 28:amd_psfd 29:btc_no 30:ibpb_ret
                """),
        Row(leaf: 6, subleaf: 0, register: "eax", bits: "2:arat"),
    ]
}

/// Parts of the extended state, as XCR0 numbers them.
///
/// - Source: Intel SDM volume 1, chapter 13.
public enum StateComponent: UInt64, Hashable, Sendable, CaseIterable {
    case x87 = 0
    case sse = 1
    case avx = 2
    case bndregs = 3
    case bndcsr = 4
    case opmask = 5
    case zmmHigh256 = 6
    case high16ZMM = 7
    case pkru = 9
    case tileConfiguration = 17
    case tileData = 18

    /// The feature (kernel's name) with which a CPU has it; `nil` for what XSAVE itself brings.
    public var feature: String? {
        switch self {
        case .x87, .sse: nil
        case .avx: "avx"
        case .bndregs, .bndcsr: "mpx"
        case .opmask, .zmmHigh256, .high16ZMM: "avx512f"
        case .pkru: "pku"
        case .tileConfiguration, .tileData: "amx_tile"
        }
    }

    /// What a kernel can switch on for a CPU with these features (kernel's names); 0 without XSAVE.
    public static func mask(features: Set<String>) -> UInt64 {
        guard features.contains("xsave") else { return 0 }
        return allCases.filter { $0.feature.map(features.contains) ?? true }.reduce(0) { $0 | 1 << $1.rawValue }
    }
}

internal import CLinux
public import CRModel

/// The CPU as this process sees it, by CPUID and XGETBV.
public enum CPUID {
    /// One leaf.
    public struct Leaf: Sendable, Hashable {
        public var eax: UInt32
        public var ebx: UInt32
        public var ecx: UInt32
        public var edx: UInt32
    }

    /// Executes CPUID.
    public static func leaf(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> Leaf {
        var words: [UInt32] = [0, 0, 0, 0]
        // SAFETY: the shim writes four words.
        words.withUnsafeMutableBufferPointer { buffer in
            if let base = buffer.baseAddress { crl_cpuid(leaf, subleaf, base) }
        }
        return Leaf(eax: words[0], ebx: words[1], ecx: words[2], edx: words[3])
    }

    /// State components that the kernel switched on; 0 without XSAVE.
    public static var xcr0: UInt64 {
        // Bit 27 of leaf 1's ECX: the kernel set CR4.OSXSAVE. Without it XGETBV is an illegal instruction.
        leaf(1).ecx >> 27 & 1 != 0 ? crl_xgetbv(0) : 0
    }

    /// Size of the extended-state area for ``xcr0`` in the standard format, in bytes; 0 without XSAVE.
    public static var xstateBytes: Int { xcr0 == 0 ? 0 : Int(leaf(0xd).ebx) }

    /// Where a state component lies in the standard format; `nil` when the CPU lacks it.
    public static func component(_ number: UInt32) -> (offset: Int, sizeBytes: Int)? {
        guard xcr0 != 0, number >= 2, number < 63 else { return nil }
        let leaf = leaf(0xd, number)
        return leaf.eax == 0 ? nil : (Int(leaf.ebx), Int(leaf.eax))
    }

    /// The vendor string of leaf 0.
    public static var vendor: String {
        let leaf = leaf(0)
        return text([leaf.ebx, leaf.edx, leaf.ecx])
    }

    /// The brand string; empty when the CPU has none.
    public static var brand: String {
        guard leaf(0x8000_0000).eax >= 0x8000_0004 else { return "" }
        let words = (0x8000_0002...0x8000_0004).flatMap { number -> [UInt32] in
            let leaf = leaf(UInt32(number))
            return [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]
        }
        return String(text(words).drop { $0 == " " })
    }

    private static func text(_ words: [UInt32]) -> String {
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The leaves that features are in, as far as this CPU has them.
    static var leaves: [MachineFingerprint.Leaf] {
        let highest = (leaf(0).eax, leaf(0x8000_0000).eax)
        return MachineFingerprint.leaves.compactMap { place in
            // Beyond the highest leaf a CPU answers with another one's words.
            guard place.leaf <= (place.leaf < 0x8000_0000 ? highest.0 : highest.1) else { return nil }
            if place.leaf == 7, place.subleaf > leaf(7).eax { return nil }
            let found = leaf(place.leaf, place.subleaf)
            return .init(
                leaf: place.leaf, subleaf: place.subleaf, eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx
            )
        }
    }

    private static var hints: [String] {
        MachineFingerprint.features(in: leaves).map(\.name).filter { CPUFeature.byName[$0]?.kind == .hint }
    }

    /// Everything of the CPU that the lab compares.
    ///
    /// - Parameter cpuinfo: Text of `/proc/cpuinfo`: the kernel's list of features is the one that user space can rely on. Hints
    ///   are CPUID's: whether the kernel itself follows one (under TCG the lab tells it not to) is nothing to compare.
    /// - Parameter tscKilohertz: 0 when unknown.
    public static func fingerprint(cpuinfo: String, tscKilohertz: Int) -> CPUFingerprint {
        let signature = leaf(1).eax
        var family = Int(signature >> 8 & 0xf)
        var model = Int(signature >> 4 & 0xf)
        if family == 15 { family += Int(signature >> 20 & 0xff) }
        if family == 6 || family >= 15 { model |= Int(signature >> 16 & 0xf) << 4 }
        let hasSizes = leaf(0x8000_0000).eax >= 0x8000_0008
        let sizes = hasSizes ? leaf(0x8000_0008).eax : 0x3024
        return CPUFingerprint(
            vendor: vendor, brand: brand, family: family, model: model, stepping: Int(signature & 0xf),
            features: Set(ProcParser.cpuFeatures(cpuinfo)).union(hints).sorted(), xcr0: xcr0, xstateBytes: xstateBytes,
            physicalAddressBits: Int(sizes & 0xff), virtualAddressBits: Int(sizes >> 8 & 0xff),
            tscKilohertz: tscKilohertz)
    }
}

extension ProcParser {
    /// The `flags` line of the first CPU in `/proc/cpuinfo`, sorted; empty when there is none.
    public static func cpuFeatures(_ text: String) -> [String] {
        for line in text.split(separator: "\n") where line.hasPrefix("flags") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return line[line.index(after: colon)...].split(separator: " ").map(String.init).sorted()
        }
        return []
    }
}

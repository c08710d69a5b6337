public import CRModel

/// In what the destination host differs from the source host, fact by fact.
public struct HostDifference: Hashable, Sendable {
    /// Instruction sets and state that user space can use, and that the destination lacks.
    public let instructionsLost: [String]
    /// Other CPU features that the destination lacks; none of them can make an instruction fault.
    public let otherFeaturesLost: [String]
    /// CPU features that only the destination has.
    public let featuresGained: [String]
    /// State components (XCR0 bits) that the destination lacks.
    public let stateLost: UInt64
    /// Probes that the source's kernel answers `ok` or with a value and the destination's with an error name.
    public let probesLost: [String]
    /// All facts as text, each with the category it belongs to, in a stable order.
    public let facts: [Fact]

    /// One fact that differs.
    public struct Fact: Hashable, Sendable {
        public let category: Category
        public let text: String
    }

    public init(source: HostFingerprint, destination: HostFingerprint) {
        let lost = source.cpu.features(missingOn: destination.cpu)
        instructionsLost = lost.filter(InstructionFeatures.instructionSets.contains)
        otherFeaturesLost = lost.filter { !InstructionFeatures.instructionSets.contains($0) }
        featuresGained = destination.cpu.features(missingOn: source.cpu)
        stateLost = source.cpu.xcr0 & ~destination.cpu.xcr0
        probesLost = source.kernel.probe.filter {
            !Self.isError($0.value) && Self.isError(destination.kernel.probe[$0.key] ?? "ok")
        }.keys.sorted()
        facts =
            Self.cpuFacts(
                source.cpu, destination.cpu, instructionsLost, otherFeaturesLost, featuresGained, stateLost)
            + Self.kernelFacts(source.kernel, destination.kernel, probesLost, cpuDiffers: !lost.isEmpty)
            + Self.otherFacts(source, destination)
    }

    /// Facts with those of `category` first, at most `limit`.
    public func facts(first category: Category, limit: Int) -> [Fact] {
        Array((facts.filter { $0.category == category } + facts.filter { $0.category != category }).prefix(limit))
    }

    /// Whether the hosts differ in what `category` stands for.
    func differs(in category: Category) -> Bool { facts.contains { $0.category == category } }

    /// An errno name: `ENOSYS`, `EINVAL`.
    static func isError(_ answer: String) -> Bool {
        answer.hasPrefix("E") && answer.utf8.allSatisfy { $0 < 128 && !(97...122).contains($0) }
    }

    private static func cpuFacts(
        _ source: CPUFingerprint, _ destination: CPUFingerprint, _ instructions: [String], _ others: [String],
        _ gained: [String], _ state: UInt64
    ) -> [Fact] {
        var texts: [String] = []
        if !instructions.isEmpty { texts.append("instruction sets that the destination lacks: " + list(instructions)) }
        if state != 0 { texts.append("state components that the destination lacks: " + list(XState.names(state))) }
        compare("extended state size in bytes", source.xstateBytes, destination.xstateBytes, into: &texts)
        compare("CPU vendor", source.vendor, destination.vendor, into: &texts)
        compare("virtual address bits", source.virtualAddressBits, destination.virtualAddressBits, into: &texts)
        if !others.isEmpty { texts.append("other CPU features that the destination lacks: " + list(others)) }
        if !gained.isEmpty { texts.append("CPU features that only the destination has: " + list(gained)) }
        compare(
            "CPU", "\(source.brand) (family \(source.family), model \(source.model), stepping \(source.stepping))",
            "\(destination.brand) (family \(destination.family), model \(destination.model), "
                + "stepping \(destination.stepping))", into: &texts)
        // Two boots of one machine measure slightly different frequencies; below a thousandth it is noise.
        let (one, two) = (source.tscKilohertz, destination.tscKilohertz)
        if one > 0, two > 0, abs(one - two) > max(one, two) / 1000 {
            compare("TSC frequency in kHz", one, two, into: &texts)
        }
        return texts.map { Fact(category: .cpu, text: $0) }
    }

    private static func kernelFacts(
        _ source: KernelFingerprint, _ destination: KernelFingerprint, _ probesLost: [String], cpuDiffers: Bool
    ) -> [Fact] {
        // One kernel patches its vDSO for the CPU that it boots on (measured: 6.1.176 on Haswell and on Nehalem), and
        // probes can depend on the CPU too: between hosts with one kernel such differences are the CPU's.
        let category: Category = source.isSameBuild(as: destination) && cpuDiffers ? .cpu : .kernel
        var texts: [String] = []
        compare("kernel", source.release, destination.release, into: &texts)
        for probe in probesLost {
            compare(
                "kernel probe \(probe)", source.probe[probe] ?? "", destination.probe[probe] ?? "", into: &texts)
        }
        compare("vDSO", String(source.vdso.prefix(12)), String(destination.vdso.prefix(12)), into: &texts)
        let symbols = Set(source.vdsoSymbols).subtracting(destination.vdsoSymbols).sorted()
        if !symbols.isEmpty { texts.append("vDSO symbols that the destination lacks: " + list(symbols)) }
        compare("kernel build", source.version, destination.version, into: &texts)
        compare("kernel command line", source.commandLine, destination.commandLine, into: &texts)
        let shared = Set(source.probe.keys).union(destination.probe.keys).subtracting(probesLost).sorted()
        for probe in shared where source.probe[probe] != destination.probe[probe] {
            compare(
                "kernel probe \(probe)", source.probe[probe] ?? "not tried", destination.probe[probe] ?? "not tried",
                into: &texts)
        }
        return texts.map { Fact(category: category, text: $0) }
    }

    private static func otherFacts(_ source: HostFingerprint, _ destination: HostFingerprint) -> [Fact] {
        var files: [String] = []
        compare("root disk image", source.userland.diskImage, destination.userland.diskImage, into: &files)
        compare("userland", source.userland.name, destination.userland.name, into: &files)
        compare("C library", source.userland.libc, destination.userland.libc, into: &files)
        var runtimes: [String] = []
        for runtime in Set(source.runtimes.keys).union(destination.runtimes.keys).sorted() {
            compare(
                "version of \(runtime)", source.runtimes[runtime] ?? "not there",
                destination.runtimes[runtime] ?? "not there", into: &runtimes)
        }
        return runtimes.map { Fact(category: .runtimeVersion, text: $0) }
            + files.map { Fact(category: .filesystem, text: $0) }
    }

    private static func list(_ items: [String]) -> String { Text.list(items, limit: 24) }

    private static func compare<Value: Equatable>(
        _ what: String, _ source: Value, _ destination: Value, into texts: inout [String]
    ) {
        if source != destination { texts.append("\(what): source \(source), destination \(destination)") }
    }
}

extension KernelFingerprint {
    /// Whether the two are one kernel, started alike.
    func isSameBuild(as other: KernelFingerprint) -> Bool {
        release == other.release && version == other.version && commandLine == other.commandLine
    }
}

public import CRModel
public import LabVM

/// The nearest host of this lab to a real machine, and what of the machine it lacks.
public struct HostImport: Sendable, Codable, Equatable {
    /// What can be chosen from.
    public struct Offer: Sendable {
        public var survey: CPUSurvey
        /// Kernels by name, with their releases: `debian-6.12` to `6.12.107`.
        public var kernels: [String: String]
        /// Userlands by name, with the C library's version; empty for one without glibc.
        public var userlands: [String: String]

        public init(survey: CPUSurvey, kernels: [String: String], userlands: [String: String]) {
            self.survey = survey
            self.kernels = kernels
            self.userlands = userlands
        }
    }

    public var name: HostName
    /// As a scenario writes it.
    public var cpu: String
    /// Empty when there is none to choose from.
    public var kernel: String
    public var userland: String
    public var kernelArguments: [String]
    public var sysctl: [String: String]
    /// What programs can notice and the host lacks, one sentence each, with leaf and bit where it is of the CPU.
    public var missing: [String]
    /// What only a kernel can notice.
    public var systemOnly: [String]
    /// Where the host is not quite the machine.
    public var differences: [String]
    /// What a booted guest of the host really shows, and where that is not what the machine shows; empty unless one was
    /// booted.
    public var booted: [String] = []

    /// Chooses.
    ///
    /// CPU: every instruction and state component that can be had is there, none that the machine lacks; among models
    /// that get there, first the vendor's own, then its family and model, then the fewest changes.
    public init(_ machine: MachineFingerprint, name: HostName, from offer: Offer) {
        self.name = name
        let features = Set(machine.features.map(\.name))
        let choice = Self.cpu(machine, features: features, offer.survey)
        cpu = choice.cpu
        let impossible = machine.features.filter { !choice.features.contains($0.name) }
        missing = impossible.filter { $0.name == "?" || CPUFeature.byName[$0.name]?.kind == .instructions }
            .map { $0.name == "?" ? "a feature that crlab has no name for (\($0.place))" : "\($0.name) (\($0.place))" }
        systemOnly = impossible.filter { $0.name != "?" && CPUFeature.byName[$0.name]?.kind != .instructions }
            .map { "\($0.name) (\($0.place))" }
        differences = choice.differences

        let lost = machine.host.cpu.xcr0 & ~StateComponent.mask(features: choice.features)
        for bit in 0..<UInt64(63) where lost >> bit & 1 != 0 {
            let state = machine.state.first { $0.component == Int(bit) }
            let label = StateComponent(rawValue: bit).map { "\($0)" } ?? "of an unknown kind"
            missing.append(
                "state component \(bit), \(label) (XCR0 bit \(bit)\(state.map { ", \($0.bytes) bytes" } ?? ""))")
        }

        kernel = Self.kernel(machine.host.kernel.release, offer.kernels)
        if let release = offer.kernels[kernel], !machine.host.kernel.release.hasPrefix(release) {
            differences.append("kernel \(machine.host.kernel.release): the nearest is \(kernel), \(release)")
        }
        userland = Self.userland(machine.host.userland, offer.userlands)
        let libc = machine.host.userland.libc
        if let found = offer.userlands[userland], found != libc {
            differences.append(
                "userland \(machine.host.userland.name), \(libc.isEmpty ? "no glibc" : "libc \(libc)"): the nearest is "
                    + "\(userland), \(found.isEmpty ? "no glibc" : "libc \(found)")")
        }
        kernelArguments = machine.host.kernel.commandLine.split(separator: " ").map(String.init).filter { word in
            Self.arguments.contains { word == $0 || word.hasPrefix($0 + "=") }
        }
        sysctl = machine.sysctl.filter { Self.settings.contains($0.key) }
        if machine.cgroups != "v2", !machine.cgroups.isEmpty {
            differences.append("cgroups \(machine.cgroups): guests have v2")
        }
        for (runtime, version) in machine.host.runtimes.sorted(by: { $0.key < $1.key }) where runtime != "native" {
            differences.append("runtime \(runtime) \(version): name the nearest of VMImages/runtimes under 'runtimes'")
        }
        let modules = machine.securityModules.filter { !Self.guestModules.contains($0) }
        if !modules.isEmpty {
            differences.append("security modules \(modules.joined(separator: ", ")): guests load no policy for them")
        }
    }

    /// Words of the kernel's command line that change what programs can see.
    private static let arguments = [
        "vsyscall", "vdso", "noxsave", "noxsaves", "noxsaveopt", "clearcpuid", "transparent_hugepage", "norandmaps",
        "ibt", "nousershstk", "no5lvl", "ia32_emulation",
    ]

    /// Settings that every kernel has and that programs can notice.
    private static let settings: Set<String> = [
        "kernel.pid_max", "kernel.randomize_va_space", "vm.max_map_count", "vm.overcommit_memory", "fs.pipe-max-size",
        "vm.mmap_min_addr", "vm.legacy_va_layout", "fs.nr_open",
    ]

    private static let guestModules: Set<String> = ["capability", "lockdown", "yama", "landlock", "ima", "evm"]

    // MARK: CPU

    private static func cpu(
        _ machine: MachineFingerprint, features: Set<String>, _ survey: CPUSurvey
    ) -> (cpu: String, features: Set<String>, differences: [String]) {
        let models = survey.models.filter { $0.name != "max" }
        let possible = models.reduce(into: Set<String>()) { $0.formUnion($1.features) }
            .union(survey.models.first { $0.name == "max" }?.features ?? [])
        let instructions = features.filter { CPUFeature.byName[$0]?.kind == .instructions }
        let target = instructions.intersection(possible)
        struct Distance: Comparable {
            let vendor: Int
            let changes: Int
            let family: Int
            let name: String

            static func < (a: Distance, b: Distance) -> Bool {
                (a.vendor, a.changes, a.family, a.name.utf8.count, a.name)
                    < (b.vendor, b.changes, b.family, b.name.utf8.count, b.name)
            }
        }
        let cpu = machine.host.cpu
        func distance(_ model: CPUSurvey.Model) -> Distance {
            let far = model.family == cpu.family ? abs(model.model - cpu.model) : 1000
            return Distance(
                vendor: model.vendor == cpu.vendor ? 0 : 1,
                changes: model.instructions.symmetricDifference(target).count, family: far, name: model.spelling)
        }
        guard let best = models.min(by: { distance($0) < distance($1) }) else { return ("", [], []) }
        func spelled(_ names: Set<String>, _ sign: String) -> [String] {
            names.sorted().map { sign + (CPUFeature.byName[$0]?.qemu ?? $0) }
        }
        let words =
            [best.spelling] + spelled(best.instructions.subtracting(target), "-")
            + spelled(target.subtracting(best.instructions), "+")
        var differences: [String] = []
        if best.vendor != cpu.vendor {
            differences.append("vendor \(cpu.vendor): no model of it; \(best.vendor) stands in")
        }
        if best.family != cpu.family || best.model != cpu.model {
            differences.append(
                "\(cpu.vendor) family \(cpu.family) model \(cpu.model): \(best.name) is family \(best.family) model "
                    + "\(best.model)")
        }
        let rest = Set(best.features).subtracting(best.instructions)
        return (words.joined(separator: ","), target.union(rest), differences)
    }

    // MARK: Kernel and userland

    /// `6.12.95+deb12-cloud-amd64` to `[6, 12, 95]`.
    static func numbers(_ release: String) -> [Int] {
        release.prefix { $0.isNumber || $0 == "." }.split(separator: ".").compactMap { Int($0) }
    }

    /// The same release, else the same series, else the series with the fewest others between.
    static func kernel(_ release: String, _ kernels: [String: String]) -> String {
        let wanted = numbers(release)
        let all = kernels.map { (name: $0.key, numbers: numbers($0.value)) }.filter { $0.numbers.count >= 2 }
        let series = Set(all.map { Array($0.numbers.prefix(2)) }).union([Array(wanted.prefix(2))])
            .sorted { $0.lexicographicallyPrecedes($1) }
        func rank(_ numbers: [Int]) -> Int { series.firstIndex(of: Array(numbers.prefix(2))) ?? 0 }
        func point(_ numbers: [Int]) -> Int { numbers.count > 2 ? numbers[2] : 0 }
        // Between two series that are as near, the older one: it has nothing that the machine's kernel lacks.
        func key(_ item: (name: String, numbers: [Int])) -> [Int] {
            let steps = rank(item.numbers) - rank(wanted)
            let points = steps == 0 ? abs(point(item.numbers) - point(wanted)) : 0
            return [abs(steps), steps, points, item.name.utf8.count]
        }
        return all.min { a, b in
            let (left, right) = (key(a), key(b))
            return left == right ? a.name < b.name : left.lexicographicallyPrecedes(right)
        }?.name ?? ""
    }

    /// By the C library, of which there is one for each release of a distribution.
    static func userland(_ machine: UserlandFingerprint, _ userlands: [String: String]) -> String {
        func minor(_ version: String) -> Int { numbers(version).dropFirst().first ?? 0 }
        return userlands.min { a, b in
            func key(_ item: (key: String, value: String)) -> (Int, Int, Int, String) {
                let isOther = item.value.isEmpty == machine.libc.isEmpty ? 0 : 1
                return (isOther, abs(minor(item.value) - minor(machine.libc)), item.key.utf8.count, item.key)
            }
            return key(a) < key(b)
        }?.key ?? ""
    }
}

extension HostImport {
    /// The host as YAML that a scenario takes, with what it lacks as comments.
    public var yaml: String {
        var lines = [
            "hosts:", "  \(name):", "    cpu: \"\(cpu)\"", "    kernel: \(kernel)", "    userland: \(userland)",
        ]
        if !kernelArguments.isEmpty {
            lines.append("    kernel-arguments: [\(kernelArguments.map { "\"\($0)\"" }.joined(separator: ", "))]")
        }
        if !sysctl.isEmpty {
            let settings = sysctl.sorted { $0.key < $1.key }.map { "\($0.key): \"\($0.value)\"" }
            lines += ["    sysctl:"] + settings.map { "      " + $0 }
        }
        func list(_ title: String, _ items: [String]) -> [String] {
            items.isEmpty ? [] : ["# \(title)"] + items.map { "#   \($0)" }
        }
        let none = missing.isEmpty ? ["# Nothing that a program can notice of the CPU is missing."] : []
        return
            (lines + none + list("Cannot be emulated here, and programs can notice:", missing)
            + list("Cannot be emulated here, of interest to kernels only:", systemOnly)
            + list("Not quite the same:", differences) + list("Booted:", booted)).joined(separator: "\n") + "\n"
    }
}

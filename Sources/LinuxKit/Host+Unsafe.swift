internal import CLinux
public import CRModel

/// This host: its fingerprint and its vDSO.
public enum Host {
    /// The bytes of the vDSO that this process has; empty without one.
    public static func vdso() -> [UInt8] {
        let own = Int32(Kernel.attempt(.getpid))
        guard let mappings = try? Procfs.mappingsWithoutFlags(own),
            let mapping = mappings.first(where: { $0.name == "[vdso]" })
        else { return [] }
        return (try? RemoteMemory.read(own, at: mapping.start, count: Int(mapping.sizeBytes))) ?? []
    }

    /// uname(2): release and version.
    public static func kernelName() -> (release: String, version: String) {
        var bytes = [UInt8](repeating: 0, count: 6 * 65)
        // SAFETY: struct new_utsname is six fields of 65 bytes.
        _ = bytes.withUnsafeMutableBytes { crl_syscall(63, UInt(bitPattern: $0.baseAddress), 0, 0, 0, 0, 0) }
        func field(_ index: Int) -> String {
            String(decoding: bytes[(index * 65)..<((index + 1) * 65)].prefix { $0 != 0 }, as: UTF8.self)
        }
        return (field(2), field(3))
    }

    /// Everything that the lab compares between hosts.
    ///
    /// Files that cannot be read leave their field empty; a fingerprint always comes out.
    ///
    /// - Parameter runtimes: Runtime to version, as the caller found them.
    /// - Parameter diskImage: Identity of the root disk image; empty when unknown.
    public static func fingerprint(runtimes: [String: String], diskImage: String = "") -> HostFingerprint {
        let name = kernelName()
        let image = vdso()
        let symbols = (try? ELFFile(image, name: "vDSO"))?.symbols.filter(\.isFunction).map(\.name) ?? []
        let commandLine = text("/proc/cmdline")
        let memory = text("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let kilobytes = memory?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0
        return HostFingerprint(
            cpu: CPUID.fingerprint(
                cpuinfo: text("/proc/cpuinfo"), tscKilohertz: tscKilohertz(commandLine: commandLine)),
            kernel: KernelFingerprint(
                release: name.release, version: name.version, commandLine: commandLine, probe: KernelProbe.all(),
                vdso: image.isEmpty ? "" : digest(image), vdsoSymbols: Array(Set(symbols))),
            userland: UserlandProbe.fingerprint(root: "", diskImage: diskImage),
            runtimes: runtimes, memoryBytes: kilobytes * 1024)
    }

    private static func text(_ path: String) -> String {
        guard let text = try? Files.text(of: path) else { return "" }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// What the lab told the kernel, or what CPUID says (leaf 0x15, 0x16); 0 otherwise.
    private static func tscKilohertz(commandLine: String) -> Int {
        for word in commandLine.split(separator: " ") where word.hasPrefix("tsc_early_khz=") {
            return Int(word.dropFirst(14)) ?? 0
        }
        let highest = CPUID.leaf(0).eax
        if highest >= 0x15 {
            let leaf = CPUID.leaf(0x15)
            if leaf.eax != 0, leaf.ebx != 0, leaf.ecx != 0 {
                return Int(UInt64(leaf.ecx) * UInt64(leaf.ebx) / UInt64(leaf.eax) / 1000)
            }
        }
        return 0
    }

    /// FNV-1a, 64 bits: tells vDSOs apart; nothing here defends against an adversary.
    static func digest(_ bytes: [UInt8]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}

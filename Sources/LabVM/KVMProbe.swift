import CRModel
import Glibc

/// Finds out whether a guest really boots with KVM: on some machines `/dev/kvm` opens, a VM can be created, and no
/// stock kernel ever prints a word.
struct KVMProbe: Sendable {
    struct Report: Sendable, Hashable {
        var works: Bool
        var text: String
    }

    /// Enough for a cold boot with KVM, which takes under a second.
    static let seconds = 10.0

    let lab: Lab
    let images: BootImages?
    let cacheFolder: String

    func run() async -> Report {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else {
            return Report(works: false, text: "/dev/kvm cannot be opened: \(Descriptor.errorText())")
        }
        guard let images else {
            return Report(works: false, text: "/dev/kvm opens, but there is no guest to try it with")
        }
        if let cached = cached() { return cached }
        let report = await boot(images)
        store(report)
        return report
    }

    private func boot(_ images: BootImages) async -> Report {
        let oracle = CPUOracle(accelerator: .kvm, definitions: [.init(name: "max", unavailable: [])], supported: [])
        let kvm = Lab(probing: lab, oracle)
        let spec = HostSpec(name: "kvm-probe", cpu: "max", kernel: "probe", memoryMebibytes: 256)
        do {
            let milliseconds = try await kvm.withGuest(spec, images, bootSeconds: Self.seconds) { $0.bootMilliseconds }
            return Report(works: true, text: "a guest booted with KVM in \(milliseconds) ms")
        } catch {
            return Report(works: false, text: "/dev/kvm opens, but no guest boots with it: \(error)")
        }
    }

    // MARK: The cache: per boot of the lab machine and QEMU

    private var path: String? {
        if cacheFolder.isEmpty { return nil }
        let boot = Descriptor.text(of: "/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" }
        return boot.isEmpty ? nil : "\(cacheFolder)/kvm-\(boot)-\(lab.qemuVersion)"
    }

    private func cached() -> Report? {
        guard let path else { return nil }
        let text = Descriptor.text(of: path)
        guard let first = text.first, first == "1" || first == "0" else { return nil }
        return Report(works: first == "1", text: String(text.dropFirst(2)))
    }

    private func store(_ report: Report) {
        guard let path, let fd = try? Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC) else { return }
        _ = Descriptor.write(fd, Array("\(report.works ? 1 : 0) \(report.text)".utf8)[...], socket: false)
        Descriptor.close(fd)
    }
}

extension Lab {
    /// The same lab with KVM taken on trust, for the probe alone.
    init(probing lab: Lab, _ oracle: CPUOracle) {
        self = lab.with(.kvm, oracle, report: "")
    }
}

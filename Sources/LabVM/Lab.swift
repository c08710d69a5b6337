public import CRModel
import Glibc
import GuestWire

/// This lab machine with one QEMU: what it can emulate, and guests in scopes.
public struct Lab: Sendable {
    public let qemu: QEMUBinary
    public let qemuVersion: String
    public let accelerator: Accelerator
    /// What the KVM probe found, one sentence; empty when nobody asked for KVM.
    public let kvmReport: String
    /// What the CPU models of a scenario become.
    public let oracle: CPUOracle
    /// Of the lab machine, in kHz; 0 when unknown.
    public let tscKilohertz: Int
    /// Keeps templates for clones; `nil` when every guest boots.
    let templates: TemplateStore?
    private let calibrationNanoseconds: Double

    /// Looks at QEMU and the accelerator.
    ///
    /// - Parameter probe: A guest to boot for `auto` and `kvm`; without one KVM is not trusted, because it can open
    ///   and still boot no kernel.
    /// - Parameter cacheFolder: Where the KVM probe's answer is kept per boot of the lab machine; empty for nowhere.
    /// - Parameter templateFolder: Where warm hosts are kept; empty to boot every guest.
    public static func open(
        qemu: QEMUBinary, accelerator choice: AcceleratorChoice, probe: BootImages? = nil, cacheFolder: String = "",
        templateFolder: String = ""
    ) async throws(VMError) -> Lab {
        let (oracle, version) = try await asking(qemu, .tcg)
        let tcg = Lab(
            qemu: qemu, qemuVersion: version, accelerator: .tcg, kvmReport: "", oracle: oracle,
            tscKilohertz: LabClock.tscKilohertz(),
            templates: templateFolder.isEmpty ? nil : TemplateStore(folder: templateFolder),
            calibrationNanoseconds: calibration())
        if choice == .tcg { return tcg }
        let report = await KVMProbe(lab: tcg, images: probe, cacheFolder: cacheFolder).run()
        if report.works {
            let (oracle, _) = try await asking(qemu, .kvm)
            return tcg.with(.kvm, oracle, report: report.text)
        }
        guard choice == .auto else { throw .acceleratorUnavailable(accelerator: "kvm", why: report.text) }
        return tcg.with(.tcg, tcg.oracle, report: report.text)
    }

    /// The CPU for a host of a scenario.
    ///
    /// - Throws: ``VMError/notEmulable(cpu:accelerator:missing:)``, ``VMError/cpuUnknown(cpu:)``.
    public func resolve(cpu: String) throws(VMError) -> CPUChoice { try oracle.resolve(cpu) }

    /// Gives a guest, runs `body` with it, and ends it, whatever `body` does.
    ///
    /// Where this lab keeps templates the guest is a clone; where none can be had it boots, and says so in
    /// ``Guest/origin``.
    ///
    /// - Parameter consoleFile: Gets what the guest prints, at most 8 MiB; `nil` to keep only the tail in memory.
    /// - Parameter bootSeconds: From the start of QEMU to an agent that takes requests.
    /// - Throws: ``VMError`` when there is no guest, else what `body` throws.
    public func withGuest<Value: Sendable>(
        _ spec: HostSpec, _ images: BootImages, consoleFile: String? = nil, bootSeconds: Double = 90,
        body: (Guest) async throws -> Value
    ) async throws -> Value {
        let cpu = try resolve(cpu: spec.cpu)
        let started = try await start(
            GuestStart(
                arguments: QEMUArguments(
                    qemu: qemu, spec: spec, cpu: cpu, images: images, accelerator: accelerator,
                    tscKilohertz: tscKilohertz),
                consoleFile: consoleFile, bootSeconds: bootSeconds))
        let guest = Guest(
            spec: spec, cpu: cpu, ready: started.ready, bootMilliseconds: started.milliseconds, origin: started.origin,
            slowdown: slowdown(started.ready), connection: started.connection)
        do {
            let value = try await body(guest)
            await started.connection.stop()
            return value
        } catch {
            await started.connection.stop()
            throw error
        }
    }

    // MARK: -

    /// A heartbeat comes every second whatever the guest computes; a lab machine under heavy load delays it.
    static let silenceSeconds = 15.0

    /// Under TCG at least 4: the calibration is arithmetic, and system calls suffer more from translation than that.
    private func slowdown(_ ready: Ready) -> Double {
        let measured = Double(ready.calibrationNanoseconds) / max(1, calibrationNanoseconds)
        // A guest that says that it is slower than this would never meet a deadline.
        return min(100, max(accelerator == .tcg ? 4 : 1, measured))
    }

    /// The same lab with another QEMU.
    ///
    /// What was found out about the accelerator holds for it too; what it can emulate it is asked itself.
    public func with(_ other: QEMUBinary) async throws(VMError) -> Lab {
        let (oracle, version) = try await Self.asking(other, accelerator)
        return Lab(
            qemu: other, qemuVersion: version, accelerator: accelerator, kvmReport: kvmReport, oracle: oracle,
            tscKilohertz: tscKilohertz, templates: templates, calibrationNanoseconds: calibrationNanoseconds)
    }

    func with(_ accelerator: Accelerator, _ oracle: CPUOracle, report: String) -> Lab {
        Lab(
            qemu: qemu, qemuVersion: qemuVersion, accelerator: accelerator, kvmReport: report, oracle: oracle,
            tscKilohertz: tscKilohertz, templates: templates, calibrationNanoseconds: calibrationNanoseconds)
    }

    private static func asking(
        _ qemu: QEMUBinary, _ accelerator: Accelerator
    ) async throws(VMError) -> (CPUOracle, String) {
        let result: Result<(CPUOracle, String), VMError> = await withCheckedContinuation { continuation in
            let started = OSThread.start {
                do throws(VMError) {
                    continuation.resume(returning: .success(try CPUOracle.ask(qemu, accelerator, seconds: 60)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if !started {
                continuation.resume(
                    returning: .failure(.launchFailed(path: qemu.executable, why: "no thread can be started")))
            }
        }
        return try result.get()
    }

    /// The best of three: the first one also warms the caches, and another program may run beside.
    private static func calibration() -> Double {
        (0..<3).map { _ in
            let start = Descriptor.seconds()
            let work = Calibration.work()
            return work == 0 ? .infinity : (Descriptor.seconds() - start) * 1e9
        }.min() ?? 1
    }
}

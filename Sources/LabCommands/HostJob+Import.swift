import CRModel
import Foundation
import LabImages
import LabRunner
import LabVM
import SystemPackage

extension HostJob {
    /// All CPU models, and with `booting` what a guest of each class shows, by class number.
    func survey(qemu: String?, booting: Bool) async throws -> (CPUSurvey, [String: CPUFingerprint]?) {
        let session = try await open()
        let lab = try await session.preparation.lab(named: qemu, like: session.lab)
        let survey = try await lab.survey()
        guard booting else {
            progress.end()
            return (survey, nil)
        }
        var found: [String: CPUFingerprint] = [:]
        for (index, group) in survey.classes.enumerated() {
            try Task.checkCancellation()
            guard let model = group.models.first else { continue }
            let spec = HostSpec(
                name: HostName("class-\(index + 1)"), cpu: model.spelling, kernel: LabSession.probeKernel,
                memoryMebibytes: 256, qemu: qemu)
            let hosts = await session.preparation.prepare([spec], relativeTo: "/", lab: session.lab)
            guard case .ready(let images, _, let lab) = hosts[spec.name] else { continue }
            do {
                found["\(index + 1)"] = try await lab.withGuest(spec, images, consoleFile: nil) { $0.fingerprint.cpu }
            } catch let error as VMError {
                progress.show(.note("class \(index + 1), \(model.name): \(error.explanation.line)"))
            }
        }
        progress.end()
        return (survey, found)
    }

    /// The nearest host to a machine, and with `booting` what the booted one shows.
    func host(
        like machine: MachineFingerprint, name: HostName, qemu: String?, booting: Bool
    ) async throws -> HostImport {
        let session = try await open()
        let lab = try await session.preparation.lab(named: qemu, like: session.lab)
        let (offers, failures) = await session.library.offers()
        for error in failures.values { progress.show(.note(error.explanation.line)) }
        var kernels: [String: String] = [:]
        for offer in offers where offer.kind == .kernel && offer.problem == nil && !offer.version.isEmpty {
            kernels[offer.name] = offer.version
        }
        for family in session.library.families where failures[family] == nil {
            for member in try await session.library.pointReleases(of: family) where kernels[member.name] == nil {
                kernels[member.name] = member.release.release
            }
        }
        let userlands = offers.filter { $0.kind == .userland }
        var host = HostImport(
            machine, name: name,
            from: HostImport.Offer(
                survey: try await lab.survey(), kernels: kernels,
                userlands: Dictionary(
                    uniqueKeysWithValues: userlands.compactMap { offer in
                        offer.libc.map { (offer.name, $0) }
                    })))
        defer { progress.end() }
        guard booting else { return host }
        let spec = HostSpec(
            name: name, cpu: host.cpu, kernel: host.kernel, userland: host.userland,
            kernelArguments: host.kernelArguments, qemu: qemu, sysctl: host.sysctl)
        switch await session.preparation.prepare([spec], relativeTo: "/", lab: session.lab)[name] {
        case .ready(let images, _, let lab):
            let shown = try await lab.withGuest(spec, images, consoleFile: nil) { $0.fingerprint }
            host.booted = Self.comparison(machine, shown)
            return host
        case .unavailable(let failure): throw RunnerError.noHosts(why: failure.summary)
        case nil: throw RunnerError.noHosts(why: "it was not prepared")
        }
    }

    private static func comparison(_ machine: MachineFingerprint, _ guest: HostFingerprint) -> [String] {
        var lines: [String] = []
        let (cpu, other) = (machine.host.cpu, guest.cpu)
        let lacking = cpu.features(missingOn: other).filter { CPUFeature.byName[$0]?.kind == .instructions }
        let extra = other.features(missingOn: cpu).filter { CPUFeature.byName[$0]?.kind == .instructions }
        lines.append(
            "kernel \(guest.kernel.release), XCR0 0x\(String(other.xcr0, radix: 16)), \(other.xstateBytes) bytes "
                + "(machine: 0x\(String(cpu.xcr0, radix: 16)), \(cpu.xstateBytes) bytes)")
        if !lacking.isEmpty { lines.append("its kernel does not show \(lacking.joined(separator: " "))") }
        if !extra.isEmpty { lines.append("its kernel shows more: \(extra.joined(separator: " "))") }
        for (probe, answer) in machine.host.kernel.probe.sorted(by: { $0.key < $1.key }) {
            let found = guest.kernel.probe[probe] ?? "-"
            if found != answer { lines.append("\(probe): \(found) (machine: \(answer))") }
        }
        return lines
    }
}

/// What needs no guest.
enum MachineJob {
    /// Runs the engine, which knows how to look at a machine.
    static func fingerprint(engine: FilePath) async throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: engine.string)
        process.arguments = ["fingerprint"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw RunnerError.incomplete(part: "crengine fingerprint", looked: engine.string)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

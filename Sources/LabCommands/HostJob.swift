import CRModel
import Foundation
import LabRunner
import LabScenario
import LabVM
import Logging
import SystemPackage

/// Boots hosts of a scenario for commands that look at them.
struct HostJob: Sendable {
    private let accelerator: AcceleratorChoice
    private let cold: Bool
    let progress = ProgressPrinter()

    init(_ guests: GuestOptions) {
        accelerator = guests.accelerator ?? .auto
        cold = guests.cold
    }

    func fingerprints(ofScenario file: FilePath) async throws -> [HostName: HostResult] {
        let scenario = try RunControl(installation: try .find()).scenario(at: file)
        let session = try await open()
        let hosts = await prepare(scenario.hosts, of: scenario, session)
        var results: [HostName: HostResult] = [:]
        for spec in scenario.hosts {
            switch hosts[spec.name] {
            case .ready(let images, let packages, let lab):
                do {
                    let fingerprint = try await lab.withGuest(spec, images, consoleFile: nil) { guest in
                        guest.fingerprint
                    }
                    results[spec.name] = HostResult(spec: spec, fingerprint: fingerprint, packages: packages)
                } catch let error as VMError {
                    results[spec.name] = HostResult(spec: spec, fingerprint: nil, unavailable: error.labFailure)
                }
            case .unavailable(let failure):
                results[spec.name] = HostResult(spec: spec, fingerprint: nil, unavailable: failure)
            case nil: break
            }
        }
        progress.end()
        return results
    }

    /// - Returns: The shell's exit status.
    func shell(on name: HostName, ofScenario file: FilePath, command: [String]) async throws -> Int {
        let scenario = try RunControl(installation: try .find()).scenario(at: file)
        guard let spec = scenario.hosts.first(where: { $0.name == name }) else {
            throw RunnerError.unknown(kind: "host", name: name.rawValue, known: scenario.hosts.map(\.name.rawValue))
        }
        let session = try await open()
        switch await prepare([spec], of: scenario, session)[name] {
        case .ready(let images, _, let lab):
            progress.end()
            return try await lab.withGuest(spec, images, consoleFile: nil) { guest in
                let (rows, columns) = RawTerminal.size
                return try await RawTerminal.during {
                    try await guest.shell(
                        input: STDIN_FILENO, output: STDOUT_FILENO, terminal: Terminal.kind, rows: rows,
                        columns: columns, command: command)
                }
            }
        case .unavailable(let failure): throw RunnerError.noHosts(why: failure.summary)
        case nil: throw RunnerError.noHosts(why: "the scenario has no such host")
        }
    }

    func open() async throws -> LabSession {
        let progress = progress
        return try await LabSession.open(accelerator: accelerator, cold: cold, logger: Logger(label: "crlab")) {
            event in
            progress.show(.images(event))
        }
    }

    private func prepare(
        _ specs: [HostSpec], of scenario: Scenario, _ session: LabSession
    ) async -> [HostName: HostReadiness] {
        await session.preparation.prepare(
            specs, kernels: scenario.kernels, userlands: scenario.userlands,
            runtimes: await session.preparation.prepare(runtimes: scenario.runtimes),
            relativeTo: FilePath(scenario.file).removingLastComponent(), lab: session.lab)
    }
}

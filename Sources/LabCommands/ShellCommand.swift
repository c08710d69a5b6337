import ArgumentParser
import CRModel
import LabRunner
import SystemPackage

struct ShellCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "shell", abstract: "Opens a shell in a freshly booted host of a scenario; exit ends the guest.")

    @Argument(help: "A host of the scenario.")
    var host: String

    @Option(help: "The scenario that has the host.")
    var scenario: String = "Scenarios/quickstart.yaml"

    @Argument(parsing: .postTerminator, help: "After `--`, a command to run in place of the shell.")
    var command: [String] = []

    @OptionGroup var guests: GuestOptions

    func run() async throws {
        try await ExitStatus.guarding {
            let status = try await HostJob(guests)
                .shell(on: HostName(host), ofScenario: FilePath(scenario), command: command)
            if status != 0 { throw ExitCode(Int32(truncatingIfNeeded: status)) }
        }
    }
}

import ArgumentParser
import CRModel
import LabReport
import LabRunner
import SystemPackage

struct HostsCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "hosts",
        abstract: "Looks at hosts: a scenario's, the CPU models there are, a real machine to copy.",
        subcommands: [Boot.self, HostsCPUsCommand.self, HostsImportCommand.self], defaultSubcommand: Boot.self)

    struct Boot: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            commandName: "boot", abstract: "Boots the hosts of a scenario and prints what they really are (default).",
            discussion: "Exit status 69 when a host cannot be had.")

        @Argument(help: "A scenario file.")
        var scenario: String = "Scenarios/quickstart.yaml"

        @OptionGroup var guests: GuestOptions
        @OptionGroup var format: FormatOption

        func run() async throws {
            try await ExitStatus.guarding {
                let hosts = try await HostJob(guests).fingerprints(
                    ofScenario: FilePath(scenario))
                switch format.format {
                case .json: Terminal.answer(try JSONCoder.text(of: hosts, pretty: true))
                case .table: Terminal.answer(HostText.render(hosts, colour: Terminal.mayColour))
                }
                guard hosts.values.allSatisfy({ $0.unavailable == nil }) else { throw ExitCode(ExitStatus.labFailed) }
            }
        }
    }
}

public import ArgumentParser
import CRModel

/// The command `crlab`.
public struct Crlab: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "crlab",
        abstract: "Finds out by experiment which hosts can restore which hosts' dumps, and why not.",
        discussion: """
            Boots QEMU guests that differ in CPU, kernel and userland, dumps workloads in one, restores them in \
            another, checks that they still work, and writes a report.

            Exit status: 0 all as expected, 1 an unexpected outcome, 64 wrong usage or scenario, 69 the lab could not \
            do it, 124 deadline, 130 interrupted.
            """,
        version: CrlabVersion.current,
        subcommands: [
            RunCommand.self, MergeCommand.self, PlanCommand.self, ProbeCommand.self, ImagesCommand.self,
            HostsCommand.self, FingerprintCommand.self,
            ShowCommand.self, ExplainCommand.self, ReproCommand.self, ShellCommand.self, ReportCommand.self,
        ])

    public init() {}
}

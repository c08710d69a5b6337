import ArgumentParser
import CRModel
import LabRunner
import LabScenario
import Logging
import SystemPackage

struct PlanCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Shows what a scenario would run, without booting anything.")

    @Argument(help: "A scenario file.")
    var scenario: String

    @Option(help: "Only these cells, such as workload=counter,destination=nehalem or a cell id; may be repeated.")
    var only: [String] = []

    @Flag(help: "List every cell with what is expected of it.")
    var cells = false

    @OptionGroup var cut: ShardOptions
    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let control = RunControl(installation: try .find())
            let progress = ProgressPrinter()
            let whole = try control.plan(
                try await control.scenario(
                    at: FilePath(scenario), logger: Logger(label: "crlab")
                ) { progress.show(.images($0)) }, only: only)
            progress.end()
            let plan = try cut.part(of: whole, control)?.plan ?? whole
            let estimate = plan.estimate(costs: control.measuredCosts(), guestsAtOnce: guests.guestsAtOnce)
            switch format.format {
            case .json: Terminal.answer(try JSONCoder.text(of: plan.document(estimate), pretty: true))
            case .table: Terminal.answer(plan.table(estimate) + (cells ? "\n" + plan.cellList() : ""))
            }
        }
    }
}

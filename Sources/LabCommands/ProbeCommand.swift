import ArgumentParser
import CRModel
import LabRunner
import Logging

struct ProbeCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Says what this lab machine can do, and why not.",
        discussion: "Tries things rather than believing them: KVM counts only when a guest boots with it.")

    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let progress = ProgressPrinter()
            let report = try await LabProbe.run(logger: Logger(label: "crlab")) { event in
                progress.show(.images(event))
            }
            progress.end()
            switch format.format {
            case .json: Terminal.answer(try JSONCoder.text(of: report, pretty: true))
            case .table:
                Terminal.answer(
                    TextTable(
                        header: ["what", "answer", "detail"],
                        rows: report.items.map { [$0.what, $0.works ? "yes" : "no", $0.detail] }
                    ).text)
            }
            if !report.canRun { throw ExitCode(ExitStatus.labFailed) }
        }
    }
}

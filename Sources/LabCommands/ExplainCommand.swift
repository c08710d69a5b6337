import ArgumentParser
import CRModel
import LabClassify

struct ExplainCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Documents a reason, such as cpu.instruction-missing, or lists them all.")

    @Argument(help: "A reason of the taxonomy; without one, all are listed.")
    var reason: String?

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard let reason, Reason(rawValue: reason) == nil else { return }
        let near = Reason.allCases.map(\.rawValue).filter { $0.hasPrefix(reason.prefix { $0 != "." }) }
        throw ValidationError(
            "there is no reason '\(reason)'; "
                + (near.isEmpty ? "`crlab explain` lists them" : "there are \(near.joined(separator: ", "))"))
    }

    func run() async throws {
        let reasons = reason.flatMap(Reason.init(rawValue:)).map { [$0] } ?? Reason.allCases
        switch format.format {
        case .json:
            let entries = reasons.map { reason in
                JSONValue.object([
                    "reason": .string(reason.rawValue), "category": .string(reason.category.rawValue),
                    "meaning": .string(reason.guide.meaning), "evidence": .string(reason.guide.evidence),
                    "remedy": .string(reason.guide.remedy),
                ])
            }
            Terminal.answer(JSONValue.array(entries).serialized(pretty: true))
        case .table:
            Terminal.answer(
                reason == nil ? Explain.overview() : reasons.map { Explain.text($0) }.joined(separator: "\n"))
        }
    }
}

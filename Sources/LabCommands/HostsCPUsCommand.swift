import ArgumentParser
import CRModel
import LabRunner
import LabVM

struct HostsCPUsCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "cpus", abstract: "Lists the CPU models of QEMU, what each loses here, and which really differ.",
        discussion: """
            Models of one class cannot be told apart by instructions or extended state: testing one tests all. A model \
            that loses something is named with ',reduced' behind it, unless it loses nothing that a program sees.
            """)

    @Option(help: "A QEMU recipe of VMImages/qemu; by default the one that hosts have by themselves.")
    var qemu: String?

    @Flag(help: "Boot one guest of each class and compare what it shows.")
    var boot = false

    @Flag(help: "List every model with what it loses, not only the classes.")
    var models = false

    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let job = HostJob(guests)
            let (survey, shown) = try await job.survey(qemu: qemu, booting: boot)
            switch format.format {
            case .json:
                Terminal.answer(try JSONCoder.text(of: CPUAnswer(survey: survey, guests: shown), pretty: true))
            case .table: Terminal.answer(CPUTables.text(survey, guests: shown, withModels: models))
            }
        }
    }
}

/// The JSON answer.
struct CPUAnswer: Codable {
    let survey: CPUSurvey
    /// What a guest of each class showed, by class number; `nil` when none was booted.
    let guests: [String: CPUFingerprint]?
}

/// CPU classes for people.
enum CPUTables {
    static func text(_ survey: CPUSurvey, guests: [String: CPUFingerprint]?, withModels: Bool) -> String {
        var header = ["class", "state", "instructions", "models"]
        if guests != nil { header.insert("in a guest", at: 3) }
        let rows = survey.classes.enumerated().map { index, group in
            let base = group.base.map { "class \($0)" }
            let more = group.instructions.joined(separator: " ")
            var row = [
                "\(index + 1)", state(group.state),
                [base, more.isEmpty ? nil : more].compactMap(\.self).joined(separator: " + "),
                names(group.models),
            ]
            if let guests { row.insert(difference(guests["\(index + 1)"], group, in: survey), at: 3) }
            return row
        }
        var parts = [
            "\(survey.classes.count) classes of \(survey.models.count) models under \(survey.accelerator), QEMU "
                + "\(survey.qemuVersion). Within a class nothing that a program sees differs but vendor, family and model.",
            TextTable(header: header, rows: rows).text,
        ]
        if withModels {
            parts.append(
                TextTable(
                    header: ["model", "class", "write", "loses"],
                    rows: survey.models.sorted { $0.name < $1.name }.map { model in
                        [
                            model.name, survey.classNumber(of: model.name).map(String.init) ?? "-", model.spelling,
                            model.lost.isEmpty ? "nothing" : model.lost.joined(separator: " "),
                        ]
                    }
                ).text)
        }
        parts.append("No model can have here: \(survey.impossible.joined(separator: " "))")
        parts.append("No guest runs on (no 64-bit mode or no cmpxchg16b): \(survey.unusable.joined(separator: " "))")
        return parts.joined(separator: "\n\n")
    }

    private static func state(_ mask: UInt64) -> String {
        mask == 0 ? "no XSAVE" : "0x" + String(mask, radix: 16)
    }

    /// Versions (`-v1`) of a model that is in the same class too say nothing new.
    private static func names(_ models: [CPUSurvey.Model]) -> String {
        let names = Set(models.map(\.name))
        return models.filter { model in
            guard let dash = model.name.lastIndex(of: "-"), model.name[dash...].dropFirst().first == "v",
                Int(model.name[dash...].dropFirst(2)) != nil
            else { return true }
            return !names.contains(String(model.name[..<dash]))
        }.map(\.spelling).joined(separator: " ")
    }

    /// What a guest's kernel showed, where it is not what QEMU's answers say.
    private static func difference(_ found: CPUFingerprint?, _ group: CPUSurvey.Class, in survey: CPUSurvey) -> String {
        guard let found, let model = group.models.first else { return "did not boot" }
        let wanted = model.instructions
        let there = Set(found.features.filter { CPUFeature.byName[$0]?.kind == .instructions })
        let size = found.xstateBytes == 0 ? "" : ", \(found.xstateBytes) B"
        let less = wanted.subtracting(there).sorted().map { "-\($0)" }
        let more = there.subtracting(wanted).sorted().map { "+\($0)" }
        return (["\(state(found.xcr0))\(size)"] + less + more).joined(separator: " ")
    }
}

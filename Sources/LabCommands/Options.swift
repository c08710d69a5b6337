public import ArgumentParser
import CRModel
import Foundation
public import LabReport
public import LabVM

/// How a command prints its answer.
enum AnswerFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case table, json
}

struct FormatOption: ParsableArguments, Sendable {
    @Option(help: "How to print the answer: table or json.")
    var format: AnswerFormat = .table
}

// Library types that commands take as arguments.
extension AcceleratorChoice: ExpressibleByArgument {}
extension ReportFormat: ExpressibleByArgument {}

/// What every command that boots guests takes.
struct GuestOptions: ParsableArguments, Sendable {
    @Option(
        help: """
            How to run guests: auto, kvm or tcg. auto takes KVM only if a guest really boots with it. By default auto, \
            and for a run that goes on or a cell that is repeated what that run had.
            """)
    var accelerator: AcceleratorChoice?

    @Option(help: "Guests at the same time; by default one for each processor.")
    var guests: Int?

    @Flag(help: "Boot every guest, instead of cloning one that was booted before; for comparisons.")
    var cold = false

    func validate() throws {
        if let guests, !(1...64).contains(guests) { throw ValidationError("--guests takes a number from 1 to 64") }
    }

    var guestsAtOnce: Int { guests ?? max(1, ProcessInfo.processInfo.activeProcessorCount) }
}

/// A duration as `90`, `90s`, `15m` or `2h`.
struct DurationArgument: ExpressibleByArgument, Sendable {
    let duration: Duration

    init?(argument: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600]
        let unit = argument.last.flatMap { units[$0] }
        guard let number = Int64(unit == nil ? argument[...] : argument.dropLast()), number > 0,
            number < 10_000_000
        else { return nil }
        duration = .seconds(number * (unit ?? 1))
    }
}

/// A cell of a run, as `show` and `repro` take it: `[RUN] CELL`.
struct CellArgument: ParsableArguments, Sendable {
    @Argument(help: "A run identifier or folder (by default the newest run), then a cell id as in the report.")
    var words: [String]

    func validate() throws {
        guard (1...2).contains(words.count), Cell(id: words.last ?? "") != nil else {
            throw ValidationError("name a cell as in the report: RUNTIME/WORKLOAD/SOURCE/DESTINATION")
        }
    }

    var cell: String { words.last ?? "" }
    /// `nil` for the newest run.
    var run: String? { words.count == 2 ? words[0] : nil }
}

import CRModel
import LabImages

/// The answers of `crlab images`.
enum ImageTables {
    static func preparations(_ preparations: [Preparation], format: AnswerFormat) -> String {
        let rows = preparations.map { preparation in
            switch preparation.result {
            case .success(let key): [preparation.kind.rawValue, preparation.name, "ready", key]
            case .failure(let error):
                [preparation.kind.rawValue, preparation.name, "not to be had", error.explanation.line]
            }
        }
        return render(["kind", "name", "state", "detail"], rows, format)
    }

    static func offers(_ offers: [ImageOffer], format: AnswerFormat) -> String {
        let rows = offers.map { offer in
            [
                offer.kind.rawValue, offer.name, offer.version.isEmpty ? "-" : offer.version,
                offer.problem == nil
                    ? offer.bytes.map { "prepared, \($0 / 1_048_576) MiB" } ?? "can be fetched" : "not to be had",
                offer.origin + (offer.problem.map { " (\($0))" } ?? ""),
            ]
        }
        return render(["kind", "name", "version", "state", "origin"], rows, format)
    }

    static func entries(_ entries: [ImageEntry], format: AnswerFormat) -> String {
        let rows = entries.map { entry in
            [
                entry.kind.rawValue, entry.name, "\(entry.bytes / 1_048_576) MiB",
                entry.manifest == nil ? "damaged" : entry.isReferenced ? "in use" : "unused", entry.folder.string,
            ]
        }
        return render(["kind", "name", "size", "state", "folder"], rows, format)
    }

    static func checks(_ checks: [EntryCheck], format: AnswerFormat) -> String {
        let rows = checks.map { check in
            [check.entry, check.deviations.isEmpty ? "ok" : "damaged", check.deviations.joined(separator: "; ")]
        }
        return render(["entry", "state", "detail"], rows, format)
    }

    static func removed(_ names: [String], format: AnswerFormat) -> String {
        render(["removed"], names.map { [$0] }, format)
    }

    private static func render(_ header: [String], _ rows: [[String]], _ format: AnswerFormat) -> String {
        switch format {
        case .table: TextTable(header: header, rows: rows).text
        case .json:
            JSONValue.array(
                rows.map { row in
                    .object(Dictionary(uniqueKeysWithValues: zip(header, row.map(JSONValue.string))))
                }
            ).serialized(pretty: true)
        }
    }
}

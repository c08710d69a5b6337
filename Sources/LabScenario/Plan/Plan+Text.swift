public import CRModel

extension Plan {
    /// The plan for people, at most 80 columns where names allow it.
    public func table(_ estimate: Estimate) -> String {
        var lines = ["\(scenario.name)" + (scenario.title.isEmpty ? "" : ": \(scenario.title)"), ""]
        lines += Self.columns(
            [["host", "cpu", "kernel", "userland", "memory", "dumps", "restores"]]
                + hosts.map { host in
                    [
                        host.name.rawValue, host.cpu, host.kernel, host.userland, "\(host.memoryMebibytes) MiB",
                        "\(dumpsByHost[host.name]?.count ?? 0)", "\(restoresByDestination[host.name]?.count ?? 0)",
                    ]
                })
        lines.append("")
        let chains = cells.count { !$0.cell.via.isEmpty }
        let added = cells.count { $0.isAddedControl }
        let expected = cells.count { $0.expectation != nil }
        lines.append(
            "\(cells.count) cells (\(cells.count { $0.cell.isControl }) controls"
                + (chains > 0 ? ", \(chains) chains" : "")
                + (added > 0 ? ", \(added) of them added" : "") + "), \(dumps.count) dumps, \(estimate.boots) boots,"
                + " about \(estimate.minutes) min")
        lines.append("\(expected) cells have an expectation, \(cells.count - expected) have none")
        lines += notes.map { "note: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One line per cell: identifier and expectation.
    public func cellList() -> String {
        let rows = cells.map { planned in
            [
                planned.cell.id,
                planned.expectation.map { $0.outcome.rawValue + ($0.reason.map { " (\($0.rawValue))" } ?? "") } ?? "-",
            ]
        }
        return Self.columns([["cell", "expected"]] + rows).joined(separator: "\n") + "\n"
    }

    private static func columns(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, text in
                column == row.count - 1
                    ? text : text + String(repeating: " ", count: widths[column] - text.count)
            }
            return cells.joined(separator: "  ")
        }
    }
}

/// `crlab plan --format json`. Schema `crlab.plan/1`.
public struct PlanDocument: Codable, Sendable {
    public struct CellEntry: Codable, Sendable {
        public var id: String
        public var control: Bool
        public var addedControl: Bool
        public var expectation: Expectation?
    }

    public var schema: String
    public var scenario: String
    public var title: String
    public var hosts: [HostSpec]
    public var cells: [CellEntry]
    public var dumps: [DumpKey]
    public var estimate: Estimate
    public var notes: [String]
}

extension Plan {
    public func document(_ estimate: Estimate) -> PlanDocument {
        PlanDocument(
            schema: "crlab.plan/1", scenario: scenario.name, title: scenario.title, hosts: hosts,
            cells: cells.map {
                PlanDocument.CellEntry(
                    id: $0.cell.id, control: $0.cell.isControl, addedControl: $0.isAddedControl,
                    expectation: $0.expectation)
            },
            dumps: dumps, estimate: estimate, notes: notes)
    }
}

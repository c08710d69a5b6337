import CRModel

extension PageReport {
    /// Bounds what is written out as finished HTML; the script and `results.json` have the rest.
    private static let clustersPerReason = 40
    /// More than these are folded away at first, so that the next reason stays in sight.
    private static let clustersInSight = 6
    private static let cellsPerCluster = 100

    static func causes(_ overview: RunOverview) throws(ReportError) -> String {
        var number = -1
        let groups = overview.groups.map { group -> [String: Any] in
            let clusters = group.clusters.map { cluster -> [String: Any] in
                number += 1
                return self.cluster(cluster, number, overview)
            }
            return [
                "reason": group.reason.rawValue, "category": group.reason.category.title,
                "meaning": group.reason.guide.meaning, "total": Words.count(group.count, "cell"),
                "clusters": Array(clusters.prefix(clustersInSight)),
                "more": clusters.count > clustersInSight
                    ? [
                        [
                            "number": clusters.count - clustersInSight,
                            "folded": Array(clusters[clustersInSight..<min(clusters.count, clustersPerReason)]),
                        ]
                    ] : [],
                "rest": clusters.count > clustersPerReason
                    ? ["… and \(Words.count(clusters.count - clustersPerReason, "more cause")) with this reason."] : [],
            ]
        }
        return groups.isEmpty ? "" : try Templates.render("causes", ["groups": groups])
    }

    private static func cluster(
        _ cluster: RunOverview.Cluster, _ number: Int, _ overview: RunOverview
    ) -> [String: Any] {
        let cells = overview.results.cells
        let finding = cluster.finding
        let members = cluster.cells.map { cells[$0] }
        let expected = cluster.unexpected == 0 ? members.count { $0.expected == true } : 0
        let state =
            cluster.unexpected > 0
            ? "\(cluster.unexpected) not as expected" : expected == members.count ? "as expected" : ""
        let evidence = finding.evidence.prefix(16).map {
            ["kind": $0.kind, "text": Layout.cut($0.text, to: 1200)]
        }
        return [
            "number": number, "count": "\(Words.grouped(members.count))", "summary": cluster.summary,
            // How sure the lab is of its own failure is nobody's question.
            "confidences": finding.category == .harness
                ? [] : [["sure": cluster.confidence.rawValue, "meaning": cluster.confidence.meaning]],
            "remedy": finding.remedy, "workloads": overview.workloads(of: cluster),
            "pairs": overview.pairs(of: cluster), "state": state.isEmpty ? [] : [state],
            "alarm": cluster.unexpected > 0, "evidence": Array(evidence), "hasEvidence": !evidence.isEmpty,
            "example": members.first?.cell.id ?? "", "reproduce": members.first?.reproduce ?? "",
            "cells": cluster.cells.prefix(cellsPerCluster).map { ["index": $0, "id": cells[$0].cell.id] },
            "cellsRest": members.count > cellsPerCluster
                ? ["… and \(Words.grouped(members.count - cellsPerCluster)) more"] : [],
        ]
    }

    static func hosts(_ overview: RunOverview) throws(ReportError) -> String {
        let comparison = HostComparison(overview.results.hosts)
        let sorted = overview.results.hosts.sorted { $0.key < $1.key }
        let rows = comparison.features.map { row in
            ["row": row.name, "values": row.values.map { ["is": $0 == "yes" ? "✓" : "–", "has": $0 == "yes"] }]
                as [String: Any]
        }
        let probes = comparison.probes.map { row in
            ["row": row.name, "values": row.values.map { ["is": $0 ?? "", "has": $0 == "ok"] }] as [String: Any]
        }
        return try Templates.render(
            "hosts",
            [
                "hosts": sorted.map { host($0.key, $0.value) },
                "names": comparison.hosts.map(\.rawValue),
                "columns": comparison.hosts.count + 1,
                "features": rows, "hasFeatures": !rows.isEmpty, "featureCount": rows.count,
                "probes": probes, "hasProbes": !probes.isEmpty, "probeCount": probes.count,
                "differ": !rows.isEmpty || !probes.isEmpty,
                "common": "\(Words.count(comparison.commonFeatures.count, "CPU feature")) and "
                    + "\(Words.count(comparison.commonProbes, "kernel probe")) are the same on every host.",
            ])
    }

    private static func host(_ name: HostName, _ host: HostResult) -> [String: Any] {
        var values: [String: Any] = [
            "name": name.rawValue, "asked": host.cpuModel, "askedKernel": host.spec.kernel,
            "askedUserland": host.spec.userland, "unavailable": host.unavailable.map { [$0.summary] } ?? [],
            "kernel": host.kernelRelease.isEmpty ? "–" : host.kernelRelease, "userland": host.userland,
        ]
        var facts: [(String, String)] = [
            ("Machine", "\(host.spec.machine), \(host.spec.memoryMebibytes) MiB"),
            ("Kernel arguments", host.spec.kernelArguments.joined(separator: " ")),
        ]
        guard let print = host.fingerprint else {
            values["really"] = "never answered"
            values["xcr0"] = "–"
            values["details"] = factRows(facts + packages(host))
            return values
        }
        let cpu = print.cpu
        let kernel = print.kernel
        values["really"] = cpu.brand.isEmpty ? cpu.vendor : cpu.brand
        values["xcr0"] = Words.hex(cpu.xcr0)
        facts += [
            ("CPU", "\(cpu.vendor), family \(cpu.family), model \(cpu.model), stepping \(cpu.stepping)"),
            (
                "Extended state",
                "XCR0 \(Words.hex(cpu.xcr0)), area \(cpu.xstateBytes) bytes; addresses \(cpu.physicalAddressBits) bits "
                    + "physical, \(cpu.virtualAddressBits) bits virtual"
            ),
            ("TSC", cpu.tscKilohertz > 0 ? "\(cpu.tscKilohertz) kHz" : "frequency unknown"),
            ("CPU features (\(cpu.features.count))", cpu.features.joined(separator: " ")),
            ("Kernel", "\(kernel.release) \(kernel.version)"), ("Command line", kernel.commandLine),
            (
                "vDSO",
                kernel.vdso + (kernel.vdsoSymbols.isEmpty ? "" : ": " + kernel.vdsoSymbols.joined(separator: " "))
            ),
            (
                "Kernel probes (\(kernel.probe.count))",
                kernel.probe.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            ),
            ("Userland", print.userland.name + (print.userland.libc.isEmpty ? "" : ", libc \(print.userland.libc)")),
            ("Disk image", print.userland.diskImage),
            (
                "Runtimes",
                print.runtimes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            ), ("Memory", Words.bytes(print.memoryBytes)),
        ]
        values["details"] = factRows(facts + packages(host))
        return values
    }

    private static func packages(_ host: HostResult) -> [(String, String)] {
        [("Packages", host.packages.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))]
    }

    private static func factRows(_ facts: [(String, String)]) -> [[String: String]] {
        facts.filter { !$0.1.isEmpty }.map { ["fact": $0.0, "value": $0.1] }
    }
}

public import CRModel

/// Hosts for a terminal: what was asked for, and what each really is.
public enum HostText {
    public static func render(
        _ hosts: [HostName: HostResult], columns: Int = 80, colour: Bool = false
    ) -> String {
        let style = Style(colour: colour)
        let sorted = hosts.sorted { $0.key < $1.key }
        var blocks = sorted.map { name, host in block(name, host, columns: columns, style) }
        let comparison = HostComparison(hosts)
        if comparison.hosts.count > 1 { blocks.append(differences(comparison, columns: columns, style)) }
        return blocks.joined(separator: "\n\n") + "\n"
    }

    /// What a CPU really is, in one line.
    static func cpu(_ cpu: CPUFingerprint) -> String {
        "\(cpu.brand.isEmpty ? cpu.vendor : cpu.brand), family \(cpu.family) model \(cpu.model) "
            + "stepping \(cpu.stepping), \(cpu.features.count) features, XCR0 \(Words.hex(cpu.xcr0))"
    }

    private static func block(
        _ name: HostName, _ host: HostResult, columns: Int, _ style: Style
    ) -> String {
        var lines = [style.bold(Escape.terminal(name.rawValue))]
        func add(_ name: String, _ text: String) {
            let first = "  " + Layout.pad(name, to: 10)
            lines.append(
                Layout.wrap(text, columns: columns, indent: String(repeating: " ", count: 12), first: first))
        }
        add("asked", "\(host.cpuModel), \(host.spec.kernel), \(host.spec.userland), \(host.spec.memoryMebibytes) MiB")
        if let failure = host.unavailable {
            lines.append(style.alarm("  not to be had: ") + Escape.terminal(failure.summary))
        }
        guard let print = host.fingerprint else { return lines.joined(separator: "\n") }
        add("CPU", cpu(print.cpu))
        add("kernel", "\(print.kernel.release) (\(print.kernel.version))")
        add("userland", print.userland.name + (print.userland.libc.isEmpty ? "" : ", libc \(print.userland.libc)"))
        let runtimes = print.runtimes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        if let qemu = host.packages["QEMU"] {
            add("QEMU", qemu + (host.spec.qemu.map { " (\($0))" } ?? ""))
        }
        if let settings = print.kernel.sysctl {
            add("sysctl", settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", "))
        }
        add("runtimes", runtimes.isEmpty ? "none" : runtimes.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    private static func differences(
        _ comparison: HostComparison, columns: Int, _ style: Style
    ) -> String {
        let names = comparison.hosts.map { Escape.terminal($0.rawValue) }
        let groups = [
            ("CPU features", comparison.features.map { ($0.name, $0.values.map { $0 == "yes" ? "✓" : "–" }) }),
            (
                "kernel probes",
                comparison.probes.map { ($0.name, $0.values.map { $0.flatMap { $0.isEmpty ? nil : $0 } ?? "–" }) }
            ),
        ]
        let rows = groups.flatMap(\.1)
        let common =
            "\(comparison.commonFeatures.count) CPU features and \(comparison.commonProbes) kernel probes are the "
            + "same on all."
        guard !rows.isEmpty else { return style.bold("No differences") + "\n  " + common }
        let left = 2 + (rows.map(\.0.count) + groups.map(\.0.count)).reduce(0, max)
        let widths = names.indices.map { column in
            max(names[column].count, rows.map { $0.1[column].count }.max() ?? 0)
        }
        func line(_ name: String, _ values: [String]) -> String {
            let cells = zip(values, widths).map { "  " + Layout.pad(Escape.terminal($0), to: $1) }.joined()
            return ("  " + Layout.pad(Escape.terminal(name), to: left - 2) + cells).trimmedRight
        }
        var lines = [style.bold("Differences")]
        for (title, rows) in groups where !rows.isEmpty {
            lines.append(style.dim(line(title, names)))
            lines += rows.map { line($0.0, $0.1) }
        }
        return (lines + ["  " + common]).joined(separator: "\n")
    }
}

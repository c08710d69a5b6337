import CRModel

/// An option of a runtime as a scenario may give it, and the words that it becomes on the runtime's command line.
struct RuntimeOption: Sendable {
    enum Form: Sendable {
        /// `true`: `--NAME`; `false`: nothing.
        case flag
        /// `true` or `false`: `--NAME=true`.
        case switched
        /// One text: `--NAME=TEXT`.
        case text
        /// One of these: `--NAME=TEXT`.
        case choice([String])
        /// `true` or one text: `--NAME` or `--NAME=TEXT`.
        case flagOrText
        /// One or more words: `--NAME=A,B`; `true` for `--NAME` alone.
        case words
        /// One or more texts: `--NAME TEXT` for each.
        case each
    }

    enum Position: Sendable { case global, argument }

    let name: String
    let form: Form
    var position = Position.argument
    var stages: [Stage] = [.dump, .restore]
}

extension RuntimeFamily {
    /// The options that matter to compatibility; `args` takes all others as they are.
    var options: [RuntimeOption] {
        switch self {
        case .native: Self.nativeOptions
        case .criu: Self.criuOptions
        case .runsc: Self.runscOptions
        }
    }

    /// All option names of all families, sorted.
    static let allOptionNames = Set(allCases.flatMap { $0.options.map(\.name) }).sorted()

    private static let nativeOptions = [
        RuntimeOption(name: "tcp", form: .choice(["keep", "close"])),
        RuntimeOption(name: "force", form: .each, stages: [.restore]),
        RuntimeOption(name: "external", form: .each),
    ]

    // Source: criu(8) of 3.17 to 4.3. Which version knows which is for the experiment to find out.
    private static let criuOptions =
        flags([
            "tcp-established", "tcp-close", "shell-job", "ext-unix-sk", "file-locks", "link-remap", "evasive-devices",
            "skip-in-flight", "force-irmap", "ghost-fiemap", "weak-sysctls", "mntns-compat-mode", "allow-uprobes",
            "track-mem", "unprivileged", "enable-external-sharing", "enable-external-masters",
        ]) + [
            RuntimeOption(name: "cpu-cap", form: .words),
            RuntimeOption(name: "file-validation", form: .choice(["filesize", "buildid"])),
            RuntimeOption(name: "external", form: .each),
            RuntimeOption(name: "inherit-fd", form: .each, stages: [.restore]),
            RuntimeOption(name: "join-ns", form: .each, stages: [.restore]),
            RuntimeOption(name: "skip-mnt", form: .each),
            RuntimeOption(name: "enable-fs", form: .words),
            RuntimeOption(name: "empty-ns", form: .each),
            RuntimeOption(name: "ghost-limit", form: .text),
            RuntimeOption(name: "manage-cgroups", form: .flagOrText),
            RuntimeOption(name: "cgroup-root", form: .each, stages: [.restore]),
            RuntimeOption(name: "lsm-profile", form: .text, stages: [.restore]),
            RuntimeOption(name: "lsm-mount-context", form: .text, stages: [.restore]),
            RuntimeOption(name: "network-lock", form: .choice(["iptables", "nftables", "skip"])),
            RuntimeOption(name: "timeout", form: .text),
        ]

    // Source: runsc's own help of 2022 and 2024.
    private static let runscOptions =
        ["platform", "overlay2", "host-uds", "host-fifo", "file-access", "file-access-mounts", "network"].map {
            RuntimeOption(name: $0, form: .text, position: .global)
        }
        + [
            "overlay", "directfs", "fsgofer-host-uds", "oci-seccomp", "net-raw", "cpu-num-from-quota", "strace",
            "debug",
        ]
        .map { RuntimeOption(name: $0, form: .switched, position: .global) }
        + [
            RuntimeOption(name: "compression", form: .text, stages: [.dump]),
            RuntimeOption(name: "exclude-committed-zero-pages", form: .flag, stages: [.dump]),
            RuntimeOption(name: "direct", form: .flag),
        ]

    private static func flags(_ names: [String]) -> [RuntimeOption] {
        names.map { RuntimeOption(name: $0, form: .flag) }
    }
}

import CRModel

/// One known line of a runtime's log. Each has a fixture in the corpus.
struct LogPattern: Sendable {
    let name: String
    /// `criu`, `runsc`; `nil` for texts that any program can print.
    let runtime: String?
    /// All must occur in one line, in this order.
    let needles: [String]
    let reason: Reason
    /// What the line means; `{}` is replaced by `object`, `@` by the host on which the stage ran.
    let meaning: String
    /// Text before and after the name that the line carries; `nil` when it carries none.
    let object: (after: String, before: String)?

    init(
        _ name: String, _ runtime: String?, _ needles: [String], _ reason: Reason, _ meaning: String,
        object: (String, String)? = nil
    ) {
        self.name = name
        self.runtime = runtime
        self.needles = needles
        self.reason = reason
        self.meaning = meaning
        self.object = object.map { (after: $0.0, before: $0.1) }
    }

    func matches(_ line: String) -> Bool {
        var rest = Substring(line)
        for needle in needles {
            guard let tail = rest.text(after: needle) else { return false }
            rest = tail
        }
        return true
    }

    func sentence(for line: String, on place: String) -> String {
        let named = object.flatMap { line.text(between: $0.after, and: $0.before) }?.trimmed ?? ""
        var text = ""
        for character in meaning { text += character == "@" ? place : String(character) }
        guard let start = text.text(after: "{}") else { return text }
        return text.dropLast(start.count + 2) + named + start
    }
}

/// Known lines of logs. The most decisive error line decides; later ones are consequences. A program that prints no
/// error lines of its own format is searched line by line.
let logRules: [Rule] = [
    Rule(name: "known-log-line") { context in
        let known = LogPattern.all.filter { $0.runtime == nil || $0.runtime == context.runtimeFamily }
        func find(in lines: some Sequence<String>) -> (LogPattern, String)? {
            for line in lines {
                if let pattern = known.first(where: { $0.matches(line) }) { return (pattern, line) }
            }
            return nil
        }
        let decisive = context.log.errors.prefix(1)
        // What accompanies other failures decides only where nothing else is left.
        guard
            let (pattern, line) = find(in: decisive)
                ?? (decisive.isEmpty ? find(in: context.log.others) ?? find(in: context.log.noise) : nil)
        else { return nil }
        return diagnosis(of: pattern, line, context)
    }
]

private func diagnosis(of pattern: LogPattern, _ line: String, _ context: AttemptContext) -> Diagnosis {
    var summary = pattern.sentence(for: line, on: context.place)
    var reason = pattern.reason
    var confidence = context.confidence(for: reason.category)
    var evidence = [EvidenceItem(kind: "runtime-log", text: line)]
    if reason == .workloadUnsupported { confidence = .supported }
    if reason.category == .cpu, context.comparesHosts, let difference = context.difference {
        if reason == .cpuXstateSize, difference.stateLost != 0 { reason = .cpuXstateMissing }
        let named = difference.instructionsLost.filter { line.holds($0) }
        let lost = named.isEmpty ? difference.instructionsLost : named
        if !lost.isEmpty {
            summary += "; \(context.destination) lacks \(Text.list(lost)) of \(context.source)"
        } else if !difference.otherFeaturesLost.isEmpty {
            summary +=
                "; \(context.destination) lacks only \(Text.list(difference.otherFeaturesLost)) of "
                + "\(context.source), none of which makes an instruction fault"
        } else if !difference.differs(in: .cpu) {
            evidence.append(EvidenceItem(kind: "cpu-difference", text: "none: both hosts show the same CPU"))
        }
    }
    if reason.category == .runtimeVersion, context.comparesHosts,
        let source = context.evidence.sourceHost?.runtimes[context.runtimeFamily],
        let destination = context.evidence.destinationHost?.runtimes[context.runtimeFamily], source != destination
    {
        summary += " (\(context.source) has \(source), \(context.destination) has \(destination))"
    }
    return Diagnosis(
        rule: pattern.name, reason: reason, confidence: confidence, summary: summary, evidence: evidence)
}

extension LogPattern {
    static let all = criu + runsc + anyProgram

    /// Texts of the dynamic linker and of option parsers.
    private static let anyProgram: [LogPattern] = [
        LogPattern(
            "library-missing", nil, ["error while loading shared libraries: "], .runtimeDependency,
            "the shared library {} is not there on @", object: ("shared libraries: ", ":")),
        LogPattern(
            "libc-too-old", nil, ["version `", "' not found"], .runtimeDependency,
            "the C library on @ lacks version {}", object: ("version `", "'")),
        LogPattern(
            "option-unknown-getopt", nil, ["unrecognized option "], .runtimeOptionUnknown,
            "the runtime on @ does not know the option {}", object: ("unrecognized option ", "\n")),
        LogPattern(
            "option-invalid-getopt", nil, ["invalid option -- "], .runtimeOptionUnknown,
            "the runtime on @ does not know the option {}", object: ("invalid option -- ", "\n")),
        LogPattern(
            "option-unknown-native", "native", ["unknown option"], .runtimeOptionUnknown,
            "the engine on @ does not know an option that it was given"),
    ]

    /// gVisor. Source of the texts: strings of Debian's runsc 20221219 and public issue threads.
    private static let runsc: [LogPattern] =
        [
            LogPattern(
                "runsc-version", "runsc", ["runsc version does not match across checkpoint restore"],
                .runtimeImageVersion,
                "the image was written by another runsc version than @ has: {}", object: ("checkpoint restore,", "\n")),
            LogPattern(
                "runsc-image-types", "runsc", ["error decoding object", "contains different fields"],
                .runtimeImageVersion, "runsc on @ reads another image version than the one that dumped: {} differs",
                object: ("type ", " contains")),
            LogPattern(
                "runsc-features-named", "runsc", ["incompatible FeatureSet", "missing features: "], .cpuFeaturesRefused,
                "runsc compared CPU feature sets and refused on @, missing {}", object: ("missing features: ", "\n")),
            LogPattern(
                "runsc-features", "runsc", ["incompatible FeatureSet"], .cpuFeaturesRefused,
                "runsc compared CPU feature sets and refused on @"),
            LogPattern(
                "runsc-features-missing", "runsc", ["missing features: "], .cpuFeaturesRefused,
                "runsc compared CPU feature sets and refused on @, missing {}", object: ("missing features: ", "\n")),
            LogPattern(
                "runsc-cache-line", "runsc", ["CPU cache line size ", "incompatible with host cache line"],
                .cpuFeaturesRefused, "runsc refused on @ because the CPU's cache line size differs"),
        ]
        + specFields.map { field, reason in
            LogPattern(
                "runsc-spec-\(field.lowercased())", "runsc", ["\(field)", "does not match across checkpoint restore"],
                reason, "runsc found that the container spec on @ differs from the dump's in \(field)")
        } + [
            LogPattern(
                "runsc-option", "runsc", ["flag provided but not defined: "], .runtimeOptionUnknown,
                "runsc on @ does not know the option {}", object: ("not defined: ", "\n")),
            LogPattern(
                "runsc-deleted-file", "runsc", ["deleted and invalidated dentries can't be restored"],
                .workloadUnsupported, "runsc cannot dump an unlinked file of a bind mount: {}",
                object: ("gofer.dentry(", ").before")),
            LogPattern(
                "runsc-connected-endpoint", "runsc", ["endpoint cannot be saved in connected state"],
                .workloadUnsupported,
                "runsc cannot dump a connected socket"),
            LogPattern(
                "runsc-networking", "runsc", ["save rejected due to unsupported networking state"],
                .workloadUnsupported,
                "runsc cannot dump this networking state"),
            LogPattern(
                "runsc-file-missing", "runsc", ["restor", "no such file or directory"], .filesystemMissing,
                "a file that the dump needs is not there on @"),
        ]

    /// Parts of the field names by which gVisor reports a difference (`Mount`, `Mounts`).
    private static let specFields: [(String, Reason)] = [
        ("Mount", .specMounts), ("Annotations", .specAnnotations), ("Capabilities", .specCapabilities),
        ("Seccomp", .specSeccomp), ("Rlimits", .specRlimits), ("Namespace", .specNamespaces),
        ("Devices", .specDevices), ("Cgroup", .specCgroup), ("Resources", .specCgroup), ("Args", .specProcess),
        ("Env", .specProcess), ("Cwd", .specProcess), ("User", .specProcess), ("Terminal", .specProcess),
        ("Process", .specProcess), ("Hostname", .specNamespaces), ("Sysctl", .specNamespaces),
    ]
}

internal import CREngine
internal import CRModel
internal import LinuxKit

/// `crengine check`: what this kernel gives, or whether an image would restore here.
enum CheckCommand {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(words, for: "check")
        let isJSON = try arguments.isJSON()
        try arguments.noOperands()
        guard let path = arguments.value("-i") ?? arguments.value("--input") else { return host(isJSON: isJSON) }
        let options = try RestoreCommand.options(arguments)
        do throws(EngineError) {
            try RestoreCommand.blockSignals()
            let found = try Restore.check(options, from: try RestoreCommand.open(path), place: path)
            for note in found.notes { Output.note(note) }
            for refusal in found.refusals { Output.note(EngineError.refused(refusal).explanation.line) }
            if isJSON { Output.line(document(found).serialized()) }
            return (found.refusals.isEmpty ? Output.ExitCode.done : .refused).rawValue
        } catch {
            return Output.failure(error, isJSON: isJSON)
        }
    }

    private static func document(_ found: Restore.Findings) -> JSONValue {
        var members: [String: JSONValue] = [
            "ok": .bool(found.refusals.isEmpty), "notes": .array(found.notes.map { .string($0) }),
            "refusals": .array(found.refusals.map { Output.document($0) }),
        ]
        if let first = found.refusals.first { members["refusal"] = Output.document(first) }
        return .object(members)
    }

    // MARK: This kernel

    /// A probe of ``KernelProbe``, what it is for, and whether nothing works without it.
    private static let features: [(probe: String, text: String, isNeeded: Bool)] = [
        ("clone3-set-tid", "tasks get their PIDs back", true),
        ("kcmp", "shared tables and open files are told apart", true),
        ("pidfd-getfd", "sockets, timers and owners of open files are read", true),
        ("proc-children", "the tree is found", true),
        ("map-files", "mapped files without a name are read", true),
        ("set-mm-map", "heap and arguments are put back", true),
        ("close-range", "descriptor tables are put back", true),
        ("memfd-create", "shared memory is put back", true),
        ("tid-address", "threads end as they should", true),
        ("proc-timers", "POSIX timers are read", true),
        ("openat2", "files are opened without following links", false),
        ("time-namespace", "clocks do not jump between hosts", false),
        ("rseq-configuration", "restartable sequences are read; without, they are looked for", false),
        ("pagemap-scan", "pages are found by range; without, one by one", false),
        ("memfd-noexec-seal", "memory files that forbid execution", false),
        ("mseal", "tells that sealed memory may occur, which is refused", false),
        ("io-uring", "tells that io_uring may occur, which is refused", false),
        ("userfaultfd", "tells that userfaultfd may occur, which is refused", false),
        ("capability-sys-resource", "limits can be raised to what the image says", false),
    ]

    private static func host(isJSON: Bool) -> Int32 {
        let answers = KernelProbe.all()
        let kernel = Host.kernelName().release
        let missing = features.filter { $0.isNeeded && answers[$0.probe] != "ok" }
        if isJSON {
            let found = features.map { feature -> JSONValue in
                .object([
                    "probe": .string(feature.probe), "answer": .string(answers[feature.probe] ?? "?"),
                    "for": .string(feature.text), "needed": .bool(feature.isNeeded),
                ])
            }
            Output.line(
                JSONValue.object([
                    "ok": .bool(missing.isEmpty), "kernel": .string(kernel), "features": .array(found),
                ]).serialized(pretty: true))
        } else {
            let rows = features.map { feature in
                [
                    feature.probe, answers[feature.probe] == "ok" ? "yes" : "no (\(answers[feature.probe] ?? "?"))",
                    feature.isNeeded ? "needed" : "", feature.text,
                ]
            }
            Output.line(
                "kernel \(kernel)\(Inspect.columns("", [["feature", "here", "", "for"]] + rows))"
                    + (missing.isEmpty
                        ? "\nThis kernel gives all that dump and restore need."
                        : "\nMissing: \(missing.map(\.probe).joined(separator: ", ")). Dump or restore will fail."))
        }
        return (missing.isEmpty ? Output.ExitCode.done : .refused).rawValue
    }
}

/// The keys that each part of a scenario file may have; the published JSON Schema is tested against them.
enum ScenarioKeys {
    /// A part of the file: how messages call it, and its keys.
    struct Section: Sendable {
        let title: String
        /// The name of its definition in the JSON Schema; empty for the file itself.
        let definition: String
        let keys: [String]
    }

    static let scenario = Section(
        title: "a scenario", definition: "",
        keys: [
            "title", "defaults", "hosts", "grid", "kernels", "userlands", "runtimes", "workloads", "spec", "matrix",
            "exclude", "include", "expect", "confirm", "timeouts", "seed",
        ])
    static let defaults = Section(
        title: "'defaults'", definition: "defaults",
        keys: ["cpu", "kernel", "userland", "memory", "machine", "kernel-arguments", "qemu", "sysctl"])
    static let host = Section(title: "a host", definition: "host", keys: defaults.keys)
    static let grid = Section(title: "'grid'", definition: "grid", keys: host.keys)
    static let kernel = Section(title: "a kernel", definition: "kernel", keys: ["bzImage", "modules"])
    static let userland = Section(title: "a userland", definition: "userland", keys: ["root"])
    static let root = Section(title: "'root'", definition: "root", keys: ["directory", "tar"])
    static let matrix = Section(
        title: "'matrix'", definition: "matrix",
        keys: ["sources", "destinations", "pairs", "around", "cover", "chains"])
    static let pattern = Section(title: "a pattern", definition: "pattern", keys: CellPattern.keys)
    static let expectation = Section(
        title: "an expectation", definition: "expectation",
        keys: ["match", "outcome", "reason", "because", "expires"])
    static let timeouts = Section(
        title: "'timeouts'", definition: "timeouts",
        keys: ["boot", "ready", "dump", "carry", "restore", "verify", "run"])

    static let all = [
        scenario, defaults, host, grid, kernel, userland, root, matrix, pattern, expectation, timeouts, anyRuntime,
        anyRuntimeStage,
    ]
}

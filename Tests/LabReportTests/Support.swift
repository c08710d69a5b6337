import Foundation
import Testing

/// Compares with a file under `Golden/`; `RECORD_GOLDEN=1` writes it anew and fails, so that the difference is read.
func expectGolden(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
    if ProcessInfo.processInfo.environment["RECORD_GOLDEN"] == "1" {
        try text.write(to: file, atomically: true, encoding: .utf8)
        Issue.record("recorded \(name); look at the difference", sourceLocation: sourceLocation)
        return
    }
    let golden = try String(contentsOf: file, encoding: .utf8)
    #expect(text == golden, "differs from Golden/\(name)", sourceLocation: sourceLocation)
}

let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// Runs a program of the machine that runs the tests; `nil` when it is not there.
func runTool(_ arguments: [String], input: String) throws -> (status: Int32, output: String)? {
    let found = ["/usr/bin", "/bin", "/usr/local/bin"].map { "\($0)/\(arguments[0])" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
    guard let program = found else { return nil }
    let file = FileManager.default.temporaryDirectory.appending(path: "crlab-report-\(UUID().uuidString)")
    try input.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments.dropFirst() + [file.path]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// Whether a module of the system's Python can be had.
func pythonHas(_ module: String) -> Bool {
    (try? runTool(["python3", "-c", "import \(module)"], input: ""))??.status == 0
}

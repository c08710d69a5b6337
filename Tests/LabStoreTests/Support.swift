import Foundation

/// A folder that is gone when its owner is.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "crlab-store-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// Runs `StoreVictim` until it ends, by itself or killed.
///
/// Not an exit test: its monitor waits for every child of this process and turns round for ever behind one that nobody
/// has waited for, as the engine's tests adopt them.
func victim(_ words: String...) throws -> Ending {
    let program =
        (try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") as NSString)
        .deletingLastPathComponent + "/StoreVictim"
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = words
    try process.run()
    process.waitUntilExit()
    return process.terminationReason == .exit
        ? .code(process.terminationStatus) : .signal(process.terminationStatus)
}

enum Ending: Equatable {
    case code(Int32)
    case signal(Int32)
}

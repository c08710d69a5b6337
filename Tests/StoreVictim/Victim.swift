import CRModel
import Foundation
import LabStore

/// A process that records until it kills itself at a moment of its life: `record RUN MS`, `create RUN MS`; or `open RUN PID`,
/// which ends with 7 when PID holds the run.
@main
enum Victim {
    static func main() async throws {
        let words = CommandLine.arguments
        guard words.count == 4, let number = Int(words[3]) else { exit(64) }
        switch words[1] {
        case "record": try await record(words[2], number)
        case "create": try await create(words[2], number)
        case "open": open(words[2], number)
        default: exit(64)
        }
    }

    /// The moment is the thing under test here: killed wherever this process then is.
    private static func die(after milliseconds: Int) {
        Thread {
            Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
            _ = kill(getpid(), SIGKILL)
        }.start()
    }

    private static func record(_ path: String, _ milliseconds: Int) async throws {
        let store = try RunStore.open(at: path)
        die(after: milliseconds)
        for cell in try await store.pendingCells() {
            try await store.recordAttempt(sampleAttempt(cell))
            try await store.recordCell(sampleResult(cell))
            let told = Glibc.open(path + "/told", O_WRONLY | O_CREAT | O_APPEND, 0o644)
            let line = Array("\(cell.id)\n".utf8)
            _ = line.withUnsafeBytes { write(told, $0.baseAddress, $0.count) }
            close(told)
        }
        while true { pause() }
    }

    private static func create(_ path: String, _ milliseconds: Int) async throws {
        die(after: milliseconds)
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan(2000))
        while true { try await store.recordEvent(kind: "x", text: "x") }
    }

    private static func open(_ path: String, _ holder: Int) {
        do {
            _ = try RunStore.open(at: path)
        } catch StoreError.locked(_, let process) where process == holder {
            exit(7)
        } catch {
            exit(1)
        }
    }
}

import Foundation

/// Hands every key to the guest, Ctrl-C included, while a body runs.
enum RawTerminal {
    static func during<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        var before = termios()
        // SAFETY: tcgetattr fills the struct it is given; it fails, harmlessly, when standard input is no terminal.
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return try await body() }
        var raw = before
        cfmakeraw(&raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        do {
            let value = try await body()
            tcsetattr(STDIN_FILENO, TCSANOW, &before)
            return value
        } catch {
            tcsetattr(STDIN_FILENO, TCSANOW, &before)
            throw error
        }
    }
}

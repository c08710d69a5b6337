import Foundation

/// The terminal that a command was started in.
enum RawTerminal {
    /// Rows and columns; 24 × 80 where standard input is no terminal.
    static var size: (rows: Int, columns: Int) {
        var size = winsize()
        // SAFETY: TIOCGWINSZ fills exactly the struct whose address it is given, which lives through the call.
        let status = withUnsafeMutablePointer(to: &size) { ioctl(STDIN_FILENO, UInt(TIOCGWINSZ), $0) }
        guard status == 0, size.ws_row > 0, size.ws_col > 0 else { return (24, 80) }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// Hands every key to the guest, Ctrl-C included, while a body runs.
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

import CRModel
import Foundation

/// Standard output for answers, standard error for everything else.
enum Terminal {
    /// Whether progress may overwrite its own line.
    static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb" }

    /// Whether an answer may hold colours: never in a file or a pipe, nor where NO_COLOR is set.
    static var mayColour: Bool {
        isatty(STDOUT_FILENO) == 1 && environment("TERM") != "dumb" && environment("NO_COLOR") == nil
    }

    /// The kind of terminal, for whoever draws on it.
    static var kind: String { environment("TERM") ?? "dumb" }

    static func answer(_ text: String) {
        print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
    }

    static func note(_ text: String) {
        FileHandle.standardError.write(Data((harmless(text) + "\n").utf8))
    }

    /// Text that a guest may have had a say in, without what a terminal would obey.
    private static func harmless(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            scalars.append(isControl && scalar != "\n" && scalar != "\t" ? "\u{fffd}" : scalar)
        }
        return String(scalars)
    }

    static func complain(_ error: any Error) {
        guard let explained = error as? any Explained else { return note("crlab: \(error)") }
        let explanation = explained.explanation
        let place = explanation.place.isEmpty ? "" : " (\(explanation.place))"
        note("crlab: \(explanation.what)\(place)\n  why:  \(explanation.why)")
        if !explanation.next.isEmpty { note("  next: \(explanation.next)") }
    }

    private static func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

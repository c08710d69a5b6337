internal import CREngine
internal import CRModel
internal import LinuxKit

/// What crengine says and how it ends.
enum Output {
    /// Exit codes; `README.md` of CREngine has the table.
    enum ExitCode: Int32 {
        case done = 0
        case refused = 1
        case usage = 64
        case unreadable = 66
        case failed = 70
        case retry = 75
    }

    /// Writes a line to standard output.
    static func line(_ text: String) { try? Files.write(1, Array((text + "\n").utf8)) }

    /// Writes a line to standard error.
    static func note(_ text: String) { try? Files.write(2, Array(("crengine: " + text + "\n").utf8)) }

    static func usage(_ message: String) -> Int32 {
        note(message + "; see crengine --help")
        return ExitCode.usage.rawValue
    }

    /// Says what went wrong, once, and returns the exit code that goes with it.
    static func failure(_ error: EngineError, isJSON: Bool) -> Int32 {
        note(error.explanation.line)
        if isJSON { line(document(error).serialized()) }
        return code(error).rawValue
    }

    static func code(_ error: EngineError) -> ExitCode {
        switch error {
        case .refused: .refused
        case .image: .unreadable
        case .busy: .retry
        case .system, .remote, .derailed, .output, .interrupted: .failed
        }
    }

    static func document(_ refusal: CREngine.Refusal) -> JSONValue {
        var detail: [String: JSONValue] = [
            "reason": .string(refusal.reason), "object": .string(refusal.object),
            "message": .string(refusal.message), "differences": .array(refusal.differences.map { .string($0) }),
        ]
        if let task = refusal.task { detail["task"] = .integer(Int64(task)) }
        return .object(detail)
    }

    private static func document(_ error: EngineError) -> JSONValue {
        var members: [String: JSONValue] = ["ok": .bool(false)]
        if case .refused(let refusal) = error {
            members["refusal"] = document(refusal)
            return .object(members)
        }
        var detail: [String: JSONValue] = ["message": .string(error.explanation.line)]
        var task: Int32?
        switch error {
        case .system(.call(let call, _, let errno), let of, _):
            detail["call"] = .string(call)
            detail["errno"] = .string("\(errno)")
            task = of
        case .system(_, let of, _): task = of
        case .remote(let call, let of, let errno, _):
            detail["call"] = .string(call)
            detail["errno"] = .string("\(errno)")
            task = of
        case .derailed(let of, _): task = of
        case .output(_, let errno): detail["errno"] = .string("\(errno)")
        case .busy(_, let of, _): task = of
        case .refused, .image, .interrupted: break
        }
        if let task { detail["task"] = .integer(Int64(task)) }
        members["error"] = .object(detail)
        return .object(members)
    }
}

/// Ends the process at once: what is left to clean up is the kernel's.
func end(with code: Int32) -> Never {
    while true { _ = Kernel.attempt(.exit_group, UInt64(UInt32(bitPattern: code))) }
}

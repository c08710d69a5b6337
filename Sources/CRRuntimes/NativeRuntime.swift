public import CRModel

/// The bundled engine, `crengine`.
public struct NativeRuntime: Runtime {
    public let name: RuntimeName
    /// Path of the command, seen from where it runs.
    public let executable: String

    public init(name: RuntimeName = .native, executable: String) {
        self.name = name
        self.executable = executable
    }

    public func versionCommand() -> RuntimeCommand {
        RuntimeCommand(arguments: [executable, "--version"])
    }

    /// `crengine 0.1.0` or `0.1.0`: the last word that starts with a digit.
    public func version(in output: String) -> String? {
        output.split { $0 == " " || $0 == "\n" }.last { $0.first?.isNumber == true }.map(String.init)
    }

    public func dumpCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        RuntimeCommand(
            arguments: [executable, "dump", "--pid", "\(request.process)", "-o", Self.image(request)]
                + ["--format", "json"] + request.options.arguments)
    }

    public func restoreCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        RuntimeCommand(
            arguments: [executable, "restore", "-i", Self.image(request), "--detach", "--format", "json"]
                + request.options.arguments)
    }

    /// Exit 0 is done; exit 1 is the documented refusal; all others, death by a signal too, are failures.
    public func report(_ ended: RuntimeExit) -> RuntimeReport {
        let log = BoundedText.joined([("standard output", ended.output), ("standard error", ended.errors)])
        if ended.timedOut { return RuntimeReport(ending: .hung, refusal: nil, log: log) }
        switch ended.exitStatus {
        case 0: return RuntimeReport(ending: .done, refusal: nil, log: log)
        case 1: return RuntimeReport(ending: .refused, refusal: Self.refusal(in: ended.output), log: log)
        default: return RuntimeReport(ending: .failed, refusal: nil, log: log)
        }
    }

    /// The refusal in the last line of output that is a JSON object; `nil` when there is none or it has another shape.
    static func refusal(in output: String) -> Refusal? {
        for line in output.split(separator: "\n").reversed() where line.first == "{" {
            guard let value = try? JSONParser.parse(String(line)), let refusal = value["refusal"] else { continue }
            return Refusal(
                reason: refusal["reason"]?.text ?? "", task: refusal["task"]?.int,
                object: refusal["object"]?.text ?? "", message: refusal["message"]?.text ?? "",
                differences: (refusal["differences"]?.elements ?? []).compactMap(\.text))
        }
        guard let value = try? JSONParser.parse(output), let refusal = value["refusal"] else { return nil }
        return Refusal(
            reason: refusal["reason"]?.text ?? "", task: refusal["task"]?.int, object: refusal["object"]?.text ?? "",
            message: refusal["message"]?.text ?? "",
            differences: (refusal["differences"]?.elements ?? []).compactMap(\.text))
    }

    private static func image(_ request: RuntimeRequest) -> String { request.imageFolder + "/native.img" }
}

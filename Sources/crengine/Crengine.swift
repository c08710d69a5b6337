internal import CRModel

/// The native engine's command.
@main
enum Crengine {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        end(with: run(words))
    }

    private static func run(_ words: [String]) -> Int32 {
        do throws(Arguments.Failure) {
            let rest = Array(words.dropFirst())
            if let command = Manual.commands.first(where: { $0.name == words.first }),
                rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" })
            {
                Output.line(Manual.help(command))
                return 0
            }
            switch words.first {
            case "dump": return try DumpCommand.run(rest)
            case "restore": return try RestoreCommand.run(rest)
            case "check": return try CheckCommand.run(rest)
            case "inspect": return try Inspect.run(rest)
            case "run": return try RunCommand.run(rest)
            case "fingerprint": return try FingerprintCommand.run(rest)
            case "manual":
                try Arguments(rest, for: "manual").noOperands()
                Output.line(Manual.page(version: CrlabVersion.current))
                return 0
            case "--version":
                Output.line(CrlabVersion.current)
                return 0
            case "--help", "-h":
                Output.line(Manual.help)
                return 0
            case nil: return Output.usage("a command is missing")
            case let command?: return Output.usage("unknown command \(command)")
            }
        } catch {
            return Output.usage(error.message)
        }
    }
}

internal import CRModel

/// The native engine's command.
@main
enum Crengine {
    static let help = """
        usage: crengine COMMAND [OPTIONS]

          dump --pid N [--leave-running] [--tcp keep|close] [-o FILE|-]
              Writes an image of the process N and its descendants, and ends them.
          restore [-i FILE|-] [--detach] [--tcp keep|close] [--new-pid-namespace] [--force REASON]…
              Brings an image back; waits for its root process and exits with its status.
          check [-i FILE|-] [--force REASON]…
              Says whether this host can take an image, and creates nothing.
          inspect FILE
              Shows what an image holds.
          run [--pid N] [--directory DIR] [--output FILE] [--environment NAME=VALUE]… [--new-pid-namespace] -- PROGRAM…
              Starts a program as the leader of a session of its own, and waits for it.
          --version, --help

        dump, restore, check and inspect take --format table|json; with json, standard output carries one document.
        exit: 0 done · 1 refused, nothing changed · 64 usage · 66 image unreadable · 70 engine failed · 75 try again
        """

    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        end(with: run(words))
    }

    private static func run(_ words: [String]) -> Int32 {
        do throws(Arguments.Failure) {
            let rest = Array(words.dropFirst())
            switch words.first {
            case "dump": return try DumpCommand.run(rest)
            case "restore": return try RestoreCommand.run(rest, checksOnly: false)
            case "check": return try RestoreCommand.run(rest, checksOnly: true)
            case "inspect": return try Inspect.run(rest)
            case "run": return try RunCommand.run(rest)
            case "--version":
                Output.line(CrlabVersion.current)
                return 0
            case "--help", "-h":
                Output.line(help)
                return 0
            case nil: return Output.usage("a command is missing")
            case let command?: return Output.usage("unknown command \(command)")
            }
        } catch {
            return Output.usage(error.message)
        }
    }
}

/// What crengine's commands and options are: the parser, `--help` and the manual page are made of this one description.
enum Manual {
    struct Option {
        /// `-o`, `--output`: the last one is the name that the code asks for.
        var names: [String]
        /// What stands behind it; `nil` for a flag.
        var value: String?
        var text: String
        var isRepeated = false
    }

    struct Command {
        var name: String
        /// Behind the options.
        var operand = ""
        var summary: String
        var text: String
        var options: [Option]

        /// One line, as for `--help`.
        var synopsis: String {
            let words = options.map { option -> String in
                let word = option.names[0] + (option.value.map { " " + $0 } ?? "")
                if option.names == ["--pid"], name == "dump" { return word }
                return "[\(word)]" + (option.isRepeated ? "…" : "")
            }
            return ([name] + words + (operand.isEmpty ? [] : [operand])).joined(separator: " ")
        }

        var valued: Set<String> { Set(options.filter { $0.value != nil }.flatMap(\.names)) }
        var flags: Set<String> { Set(options.filter { $0.value == nil }.flatMap(\.names)) }
    }

    private static let format = Option(
        names: ["--format"], value: "table|json",
        text: "json: standard output carries one document, with the time of each phase in milliseconds.")
    private static let tcp = Option(
        names: ["--tcp"], value: "keep|close",
        text: """
            What happens to established TCP connections. keep (the default): they go on, with their queues and \
            sequence numbers. close: the restored program finds them closed.
            """)
    private static let force = Option(
        names: ["--force"], value: "REASON",
        text: "Skip the checks of this reason (such as cpu.xstate-missing), at your own risk.", isRepeated: true)
    private static let newPidNamespace = Option(
        names: ["--new-pid-namespace"], value: nil,
        text: "In a PID namespace of its own, where every PID is free.")
    private static let external = Option(
        names: ["--external"], value: "NAME=PATH|@SOCKET|fd:N",
        text: """
            What stands for something outside the tree: a path, an abstract socket name, or a descriptor that crengine was \
            started with.
            """,
        isRepeated: true)
    private static let root = Option(
        names: ["--root"], value: "DIR",
        text: "The root of the mount namespace that the image brings; without it, where that was at the dump.")

    static let commands: [Command] = [
        Command(
            name: "dump", summary: "write an image of a process and its descendants",
            text: """
                Stops the process and all its descendants, writes them to an image and ends them. Nothing is ended before \
                the image is whole; when something cannot be carried, when the output fails and after SIGTERM, SIGINT or \
                SIGHUP, the tree runs on as if nothing had happened.
                """,
            options: [
                Option(names: ["--pid"], value: "N", text: "The root of the tree."),
                Option(
                    names: ["-o", "--output"], value: "FILE|-",
                    text: "Where to. A file is replaced only by a whole image. Without it, or with -, standard output."),
                Option(names: ["--leave-running"], value: nil, text: "Let the tree run on afterwards."),
                tcp,
                Option(
                    names: ["--external"], value: "KIND[KEY]:NAME",
                    text: """
                        Something is not the image's: restore --external says what stands for NAME. mnt[DIR], the mount at \
                        DIR. file[PATH], what is open (file, device, terminal) or entered by that path. pipe[INODE] and \
                        socket[INODE], as /proc/PID/fd shows them; only a descriptor can stand for those. unix[PATH|@NAME|\
                        INODE], the peer of UNIX sockets: they connect anew, and the peer has to bear that.
                        """,
                    isRepeated: true),
                format,
            ]),
        Command(
            name: "restore", summary: "bring an image back",
            text: """
                Checks the image and this host, then builds the tree with its PIDs and lets it run. No task runs before the \
                end of the image was seen. Without --detach crengine stays the parent, passes signals on, and exits with \
                the status of the root process (128 + signal when one killed it).
                """,
            options: [
                Option(
                    names: ["-i", "--input"], value: "FILE|-", text: "The image. Without it, or with -, standard input."
                ),
                Option(names: ["--detach"], value: nil, text: "Return when all tasks run."),
                tcp, root,
                external, newPidNamespace, force, format,
            ]),
        Command(
            name: "check", summary: "say what this host can do",
            text: """
                With an image: whether it would restore here, and every reason why not; nothing is created. Without one: \
                what this kernel gives to dump and restore, and what is lost where it does not.
                """,
            options: [
                Option(names: ["-i", "--input"], value: "FILE|-", text: "The image; - for standard input."),
                force, root, external, newPidNamespace, format,
            ]),
        Command(
            name: "inspect", operand: "FILE", summary: "show what an image holds",
            text: "Reads the whole image, checks it, and shows its records. FILE may be - for standard input.",
            options: [format]),
        Command(
            name: "fingerprint", summary: "say what this machine is, as JSON",
            text: """
                CPU features with leaf and bit, extended state, kernel with configuration, probes and settings, cgroups, \
                security modules, runtimes. Nothing need be installed and nothing is changed; without root some probes \
                say EPERM. `crlab hosts import` makes a host of a lab from it.
                """,
            options: []),
        Command(
            name: "run", operand: "-- PROGRAM…", summary: "start a program so that it can be dumped",
            text: """
                Starts a program as the leader of a session of its own, without a terminal, and waits for it.
                """,
            options: [
                Option(names: ["--pid"], value: "N", text: "Its PID."),
                Option(names: ["--directory"], value: "DIR", text: "Its working directory."),
                Option(
                    names: ["--output"], value: "FILE",
                    text: "Where its standard output and standard error are appended."),
                Option(
                    names: ["--environment"], value: "NAME=VALUE", text: "All that is in its environment.",
                    isRepeated: true),
                newPidNamespace,
            ]),
        Command(
            name: "manual", summary: "print the manual page",
            text: "In the form that man(1) reads: crengine manual > crengine.8.", options: []),
    ]

    static let exits: [(code: Int32, text: String)] = [
        (0, "done"), (1, "refused; nothing was changed"), (64, "the command line cannot be understood"),
        (66, "the image cannot be read: damaged, cut, of another version"), (70, "the engine failed"),
        (75, "it would work later: a PID is in use"),
    ]

    static func command(_ name: String) -> Command {
        commands.first { $0.name == name } ?? Command(name: name, summary: "", text: "", options: [])
    }

    // MARK: --help

    /// All commands in short.
    static var help: String {
        let width = commands.map(\.name.count).max() ?? 0
        let lines = commands.map { command in
            "  " + command.name + String(repeating: " ", count: width - command.name.count) + "  " + command.summary
        }
        let codes = exits.map { "\($0.code) \($0.text)" }.joined(separator: " · ")
        return """
            usage: crengine COMMAND [OPTIONS]

            \(lines.joined(separator: "\n"))

            crengine COMMAND --help explains one of them; crengine --version says which this is.
            \(fold("exit: " + codes, indent: 6).trimmingSpaces)
            """
    }

    /// One command with all its options.
    static func help(_ command: Command) -> String {
        var text =
            fold("usage: crengine " + command.synopsis, indent: 4).trimmingSpaces + "\n\n"
            + fold(command.text, indent: 0) + "\n"
        for option in command.options {
            text += "\n  " + heading(option) + "\n" + fold(option.text, indent: 6)
        }
        return text
    }

    private static func heading(_ option: Option) -> String {
        option.names.joined(separator: ", ") + (option.value.map { " " + $0 } ?? "")
    }

    /// Folds at 100 columns; lines behind the first begin with `indent` spaces, and so does the first.
    private static func fold(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + word.count + 1 > 100 - indent {
                lines.append(margin + line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { lines.append(margin + line) }
        return lines.joined(separator: "\n")
    }

    // MARK: man

    /// The manual page, section 8.
    static func page(version: String) -> String {
        var page = """
            .TH CRENGINE 8 "" "crengine \(version)" "crlab"
            .SH NAME
            crengine \\- checkpoint and restore process trees
            .SH SYNOPSIS
            """
        for command in commands { page += "\n.B crengine\n\(escape(command.synopsis))\n.br" }
        page += """

            .SH DESCRIPTION
            crengine writes a running tree of processes to an image and brings it back, on this host or another one, with
            memory, threads, descriptors, sockets, terminals, timers, credentials, namespaces and PIDs.
            What cannot be carried is refused by name, and the tree runs on.
            .SH COMMANDS
            """
        for command in commands {
            page += "\n.SS \(command.name) \\- \(escape(command.summary))\n\(escape(command.text))"
            for option in command.options {
                page += "\n.TP\n.B \(escape(heading(option)))\n\(escape(option.text))"
            }
        }
        page += "\n.SH EXIT STATUS"
        for exit in exits { page += "\n.TP\n.B \(exit.code)\n\(escape(exit.text))" }
        return page
    }

    private static func escape(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "-": result += "\\-"
            case "\\": result += "\\\\"
            case "…": result += "..."
            default: result.append(character)
            }
        }
        // A dot or quote at the start of a line would be a request.
        return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
    }
}

extension String {
    /// Without the spaces at its start.
    fileprivate var trimmingSpaces: String { String(drop { $0 == " " }) }
}

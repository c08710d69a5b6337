internal import CRModel
internal import LinuxKit

/// `crengine fingerprint`: what this machine is, for `crlab hosts import` on another one.
enum FingerprintCommand {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        try Arguments(words, for: "fingerprint").noOperands()
        var runtimes = ["native": CrlabVersion.current]
        for name in ["criu", "runsc"] {
            if let version = version(of: name) { runtimes[name] = version }
        }
        guard let text = try? JSONCoder.text(of: MachineProbe.fingerprint(runtimes: runtimes), pretty: true) else {
            Output.note("the fingerprint cannot be written as JSON")
            return Output.ExitCode.failed.rawValue
        }
        Output.line(text)
        return Output.ExitCode.done.rawValue
    }

    /// The first number that a program's `--version` prints; `nil` when it is not installed or does not answer.
    private static func version(of name: String) -> String? {
        let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        guard let path = folders.map({ "\($0)/\(name)" }).first(where: { (try? Files.status(of: $0)) != nil }),
            let output = try? Files.memfd("version")
        else { return nil }
        defer { Files.close(output) }
        var request = SpawnRequest(executable: path, arguments: [path, "--version"], environment: [])
        request.stdout = output
        request.stderr = output
        guard (try? Signals.block([Signals.child])) != nil, let process = try? Spawn.start(request) else { return nil }
        defer { Files.close(process.pidfd) }
        if (try? Wait.wait(for: process.pid, deadline: Deadline(seconds: 10))) == nil {
            try? Pidfd.send(process.pidfd, Signals.kill)
            _ = try? Wait.wait(for: process.pid, deadline: Deadline(seconds: 5))
        }
        let text = (try? Files.text(of: "/proc/self/fd/\(output)")) ?? ""
        return text.split { $0 == " " || $0 == "\n" }.first { $0.contains { $0.isNumber } }.map(String.init)
    }
}

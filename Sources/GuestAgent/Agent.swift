import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// The program: `/init` of a guest, and the roles in which it starts itself again.
public enum Agent {
    /// Runs the role that the arguments name and returns the exit status.
    ///
    /// - Parameter arguments: With the program's own name first.
    public static func run(_ arguments: [String]) -> Int32 {
        Kernel.keepMemory()
        switch arguments.dropFirst().first {
        case "terminal": return Terminal.main(Array(arguments.dropFirst(2)))
        case "--version":
            try? Files.write(1, Array("crlab-agent \(CrlabVersion.current)\n".utf8))
            return 0
        case nil where Kernel.attempt(.getpid) == 1: break
        default:
            try? Files.write(2, Array("crlab-agent: meant to be /init of a guest; see crlab --help\n".utf8))
            return 64
        }
        do throws(AgentError) {
            try serve()
        } catch {
            try? Files.write(2, Array("crlab-agent: \(error.explanation.line)\n".utf8))
        }
        GuestSystem.reset()
        return 70
    }

    private static func serve() throws(AgentError) {
        var boot = Boot()
        boot.early()
        let port = try Boot.portPath(name: GuestProtocol.portName, seconds: 10)
        let channel = try Channel(path: port)
        try channel.send(
            .hello,
            Hello(
                protocolVersion: GuestProtocol.version, agentVersion: CrlabVersion.current,
                uptimeSeconds: uptimeSeconds()))
        boot.moveRoot()
        boot.late()
        let server = try AgentServer(channel: channel, boot: boot)
        try server.run()
    }

    /// Seconds since the kernel started.
    static func uptimeSeconds() -> Double { Double(MonotonicClock.nanoseconds()) / 1e9 }
}

import CRModel
import Glibc

/// A short-lived QEMU that is only asked questions and never runs a guest.
///
/// - Precondition: On a thread of its own: every call waits.
struct MonitorSession {
    private let monitor: Int32
    private let child: ChildProcess
    private let path: String
    private let deadline: Double
    private var buffer: [UInt8] = []
    /// QEMU's greeting.
    private(set) var greeting: JSONValue = .null

    init(qemu: QEMUBinary, accelerator: Accelerator, seconds: Double) throws(VMError) {
        let pair = try Descriptor.socketPair()
        let null = try Descriptor.open("/dev/null", O_RDWR)
        defer {
            Descriptor.close(pair.theirs)
            Descriptor.close(null)
        }
        var words = [qemu.executable]
        for folder in qemu.dataFolders { words += ["-L", folder] }
        words += [
            "-machine", "q35", "-accel", accelerator.rawValue, "-S", "-nodefaults", "-no-user-config", "-display",
            "none", "-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
        ]
        do throws(VMError) {
            child = try ChildProcess.start(
                words, inherited: [(null, 0), (null, 1), (null, 2), (pair.theirs, 3)])
        } catch {
            Descriptor.close(pair.ours)
            throw error
        }
        monitor = pair.ours
        path = qemu.executable
        deadline = Descriptor.seconds() + seconds
        Descriptor.setNonBlocking(monitor)
        do throws(VMError) {
            greeting = try line()
            _ = try ask("qmp_capabilities")
        } catch {
            end()
            throw error
        }
    }

    /// Asks one question.
    ///
    /// - Returns: What is in `return`.
    mutating func ask(_ command: String, _ arguments: JSONValue = .object([:])) throws(VMError) -> JSONValue {
        let question = JSONValue.object(["execute": .string(command), "arguments": arguments])
        _ = Descriptor.write(monitor, Array((question.serialized(pretty: false) + "\n").utf8)[...], socket: true)
        while true {
            let answer = try line()
            if let value = answer["return"] { return value }
            if let error = answer["error"] {
                throw .launchFailed(path: path, why: "\(command): \(error["desc"]?.text ?? "refused")")
            }
        }
    }

    func end() {
        child.kill()
        child.wait()
        Descriptor.close(monitor)
    }

    private mutating func line() throws(VMError) -> JSONValue {
        while true {
            if let newline = buffer.firstIndex(of: 0x0a) {
                let text = Array(buffer[..<newline])
                buffer.removeFirst(newline + 1)
                guard let value = try? JSONParser.parse(text.filter { $0 != 0x0d }) else {
                    throw .launchFailed(path: path, why: "its monitor does not speak JSON")
                }
                return value
            }
            let left = deadline - Descriptor.seconds()
            guard left > 0 else { throw .launchFailed(path: path, why: "its monitor does not answer") }
            var request = pollfd(fd: monitor, events: Int16(POLLIN), revents: 0)
            _ = poll(&request, 1, Int32(min(left * 1000, 1000)))
            guard let bytes = Descriptor.read(monitor, limit: 1 << 20) else { continue }
            guard !bytes.isEmpty else { throw .launchFailed(path: path, why: "it ended without a word") }
            buffer += bytes
        }
    }
}

extension CPUOracle {
    /// Asks a QEMU what it can give under an accelerator.
    static func ask(
        _ qemu: QEMUBinary, _ accelerator: Accelerator, seconds: Double
    ) throws(VMError) -> (oracle: CPUOracle, version: String) {
        var session = try MonitorSession(qemu: qemu, accelerator: accelerator, seconds: seconds)
        defer { session.end() }
        let definitions = try session.ask("query-cpu-definitions")
        let model = JSONValue.object(["type": .string("full"), "model": .object(["name": .string("max")])])
        // Without an expansion added features are not checked here; `enforce` checks them at the start of the guest.
        let expansion = (try? session.ask("query-cpu-model-expansion", model)) ?? .null
        let version = session.greeting["QMP"]?["version"]?["qemu"]
        let numbers = ["major", "minor", "micro"].map { version?[$0]?.int ?? 0 }
        return (
            CPUOracle(accelerator: accelerator, definitions: definitions, expansion: expansion),
            numbers.map(String.init).joined(separator: ".")
        )
    }
}

import CRModel
import GuestWire

/// QEMU's monitor: one JSON value in each line.
struct MonitorLines {
    private var buffer: [UInt8] = []

    /// Adds bytes and takes the lines that are whole; what is no JSON is left out.
    mutating func take(_ bytes: [UInt8]) -> [JSONValue] {
        buffer += bytes
        var values: [JSONValue] = []
        while let newline = buffer.firstIndex(of: 0x0a) {
            if let value = try? JSONParser.parse(buffer[..<newline].filter({ $0 != 0x0d })) { values.append(value) }
            buffer.removeFirst(newline + 1)
        }
        return values
    }
}

extension GuestLoop {
    /// Number of the request by which a clone is given its own randomness and time; the connection counts from 1.
    static let reseedRequest = UInt32.max

    /// The memory file is not part of the state; QEMU says when it has written or read the rest.
    private static let capabilities = command(
        "migrate-set-capabilities",
        .object([
            "capabilities": .array(
                ["x-ignore-shared", "events"].map {
                    .object(["capability": .string($0), "state": .bool(true)])
                })
        ]))

    /// The first words to QEMU; a clone is told where its state is.
    func greetMonitor() {
        tell(Self.command("qmp_capabilities"))
        guard case .clone(let state, _) = settings.start else { return }
        tell(Self.capabilities)
        tell(Self.command("migrate-incoming", .object(["uri": .string("file:" + state)])))
    }

    /// Stops the guest and has its state written, once, when someone asks for it.
    func startFreezing() {
        guard !freezing, let path = connection.state.withLock({ $0.freeze?.path }) else { return }
        freezing = true
        tell(Self.command("stop"))
        tell(Self.capabilities)
        tell(Self.command("migrate", .object(["uri": .string("file:" + path)])))
    }

    func readMonitor() throws(VMError) {
        guard let bytes = Descriptor.read(monitor, limit: 65536) else { return }
        if bytes.isEmpty {
            Descriptor.close(monitor)
            monitor = -1
            return
        }
        for message in monitorLines.take(bytes) {
            if let error = message["error"] {
                try fail("QEMU's monitor says: \(error["desc"]?.text ?? "error")")
            }
            switch (message["event"]?.text, message["data"]?["status"]?.text) {
            case ("MIGRATION", "completed"): goOn()
            case ("MIGRATION", "failed"): try fail("QEMU could not carry the guest's state")
            // The clone runs from now on. Its clock stood still since the template was frozen, so the time that it is
            // told must be that of this moment.
            case ("RESUME", _): try reseed()
            default: break
            }
        }
    }

    private func reseed() throws(VMError) {
        guard case .clone = settings.start else { return }
        let welcome = Welcome.now(diskIdentity: settings.diskIdentity, tsc: settings.tscKilohertz)
        do throws(WireError) {
            let frame = try Frame(.request, request: Self.reseedRequest, message: GuestRequest.reseed(welcome))
            connection.state.withLock { $0.send(frame) }
        } catch {
            throw .cloneFailed(host: host, why: error.explanation.line)
        }
    }

    /// The state is written, or read: a template is done, and a clone, stopped as its template was, can run.
    private func goOn() {
        if case .clone = settings.start { tell(Self.command("cont")) }
        let answer = connection.state.withLock { state in
            defer { state.freeze = nil }
            return state.freeze?.answer
        }
        answer?.resume(returning: .success(()))
    }

    /// A guest that was booted does not need its monitor; a clone and a template do.
    private func fail(_ why: String) throws(VMError) {
        if case .clone = settings.start { throw .cloneFailed(host: host, why: why) }
        if freezing { throw .cloneFailed(host: host, why: why) }
    }

    private static func command(_ name: String, _ arguments: JSONValue? = nil) -> String {
        var members = ["execute": JSONValue.string(name)]
        members["arguments"] = arguments
        return JSONValue.object(members).serialized(pretty: false) + "\n"
    }

    private func tell(_ command: String) {
        _ = Descriptor.write(monitor, Array(command.utf8)[...], socket: true)
    }
}

public import CRModel

/// gVisor: the workload runs in a sandbox that runsc starts from an OCI bundle.
public struct RunscRuntime: ContainerRuntime {
    public let name: RuntimeName
    /// The words that start the program.
    public let command: [String]

    /// The container's name; a cell has one.
    static let container = "cell"

    public init(name: RuntimeName, command: [String]) {
        self.name = name
        self.command = command
    }

    public func versionCommand() -> RuntimeCommand { RuntimeCommand(arguments: command + ["--version"]) }

    /// `runsc version 0.0~20240729.0`, whatever a distribution puts before the number.
    public func version(in output: String) -> String? {
        output.split(separator: "\n").lazy.filter { $0.hasPrefix("runsc version ") }.first
            .map { String($0.dropFirst("runsc version ".count)) }
    }

    public func startCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called("run", ["--detach", "--bundle", request.bundleFolder], request, takesArguments: false)
    }

    public func dumpCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called("checkpoint", ["--image-path", request.imageFolder], request)
    }

    public func restoreCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called(
            "restore", ["--detach", "--bundle", request.bundleFolder, "--image-path", request.imageFolder], request)
    }

    public func waitCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called("wait", [], request, takesArguments: false)
    }

    /// `{"id":"cell","exitStatus":0}`.
    public func exitStatus(in output: String) -> Int? {
        (try? JSONParser.parse(output)).flatMap { $0["exitStatus"]?.int }
    }

    public func executeCommand(_ request: RuntimeRequest, _ program: RuntimeWorkload) -> RuntimeCommand {
        var command = called(
            "exec", ["--cwd", program.workingDirectory] + program.environment.flatMap { ["--env", $0] }, request,
            takesArguments: false)
        command.arguments += program.arguments
        return command
    }

    private func called(
        _ verb: String, _ words: [String], _ request: RuntimeRequest, takesArguments: Bool = true
    ) -> RuntimeCommand {
        let log = "\(request.logFolder)/runsc.log"
        let panic = "\(request.logFolder)/runsc-panic.log"
        return RuntimeCommand(
            arguments: command + [
                "--root", "\(request.logFolder)/runsc", "--log", log, "--log-format", "text", "--panic-log", panic,
                "--network=none", "--ignore-cgroups",
            ] + request.options.globals + [verb] + words + (takesArguments ? request.options.arguments : [])
                + [Self.container],
            logFiles: [log, panic])
    }

    public func report(_ ended: RuntimeExit) -> RuntimeReport { .plain(ended) }

    public func bundle(_ request: RuntimeRequest, running workload: RuntimeWorkload) -> String {
        func mount(_ target: String, _ type: String, _ source: String, _ options: [String] = []) -> JSONValue {
            .object([
                "destination": .string(target), "type": .string(type), "source": .string(source),
                "options": .texts(options),
            ])
        }
        let capabilities = JSONValue.texts(Self.capabilities)
        var spec: [String: JSONValue] = [
            "ociVersion": .string("1.0.0"), "hostname": .string("cell"),
            "root": .object(["path": .string("rootfs"), "readonly": .bool(true)]),
            "process": .object([
                "args": .texts(workload.arguments), "env": .texts(workload.environment),
                "cwd": .string(workload.workingDirectory),
                "user": .object(["uid": .integer(0), "gid": .integer(0)]),
                "capabilities": .object([
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                    "inheritable": .array([]),
                ]),
            ]),
            "mounts": .array([
                mount("/proc", "proc", "proc"), mount("/sys", "sysfs", "sysfs", ["ro"]),
                mount("/dev", "tmpfs", "tmpfs"), mount("/dev/pts", "devpts", "devpts"),
                mount("/dev/shm", "tmpfs", "tmpfs"), mount("/tmp", "tmpfs", "tmpfs"), mount("/run", "tmpfs", "tmpfs"),
                mount(request.workFolder, "bind", request.workFolder, ["rbind", "rw"]),
            ]),
            "linux": .object([
                "namespaces": .array(
                    ["pid", "network", "ipc", "uts", "mount"].map { .object(["type": .string($0)]) })
            ]),
        ]
        if !request.options.annotations.isEmpty {
            spec["annotations"] = .object(request.options.annotations.mapValues { .string($0) })
        }
        return JSONValue.object(spec).serialized(pretty: true)
    }

    /// All that were there when container runtimes last listed them; what a native workload of a cell has, too.
    private static let capabilities = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    ].map { "CAP_" + $0 }
}

extension JSONValue {
    fileprivate static func texts(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
}

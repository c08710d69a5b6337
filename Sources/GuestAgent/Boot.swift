import GuestWire
import LinuxKit

/// What PID 1 of a guest prepares before anything can be asked of it.
struct Boot {
    /// Where the root disk is mounted, read-only.
    static let diskFolder = "/mnt/disk"
    static let diskDevice = "/dev/vda"
    /// Where the disk with runtimes is mounted, read-only; empty without one.
    static let runtimesFolder = "/mnt/runtimes"
    static let cgroupFolder = "/sys/fs/cgroup"

    /// What could not be prepared and is not essential.
    private(set) var warnings: [String] = []
    /// Whether cells get cgroups of their own.
    private(set) var hasCgroups = false
    private(set) var hasDisk = false

    /// The kernel interfaces, and the modules of the initramfs in their order.
    mutating func early() {
        for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", Self.diskFolder, Self.runtimesFolder, "/cell"] {
            try? Files.makeFolder(folder)
        }
        attempt { () throws(LinuxError) in try GuestSystem.mount("proc", on: "/proc", type: "proc") }
        attempt { () throws(LinuxError) in try GuestSystem.mount("sysfs", on: "/sys", type: "sysfs") }
        attempt { () throws(LinuxError) in
            do throws(LinuxError) {
                try GuestSystem.mount("devtmpfs", on: "/dev", type: "devtmpfs")
            } catch {
                // CONFIG_DEVTMPFS_MOUNT mounts it where the initramfs has no /dev/console.
                if error.errno != .busy { throw error }
            }
        }
        loadModules("/etc/crlab/modules")
    }

    private mutating func loadModules(_ list: String) {
        for path in ((try? Files.text(of: list)) ?? "").split(separator: "\n") {
            attempt { () throws(LinuxError) in try GuestSystem.loadModule(String(path)) }
        }
    }

    /// The device of the disk with this serial number; `nil` when there is none.
    private static func disk(serial: String) -> String? {
        for name in ((try? Files.names(in: "/sys/block")) ?? []).sorted() {
            let text = (try? Files.text(of: "/sys/block/\(name)/serial")) ?? ""
            if text.split(separator: "\n").first == serial[...] { return "/dev/" + name }
        }
        return nil
    }

    /// Makes the initramfs a root that can be pivoted away from: the kernel's own rootfs mount cannot be.
    mutating func moveRoot() {
        attempt { () throws(LinuxError) in
            try GuestSystem.mount("/", on: "/cell", type: "", flags: .bind)
            for folder in ["/proc", "/sys", "/dev"] {
                try GuestSystem.mount(folder, on: "/cell" + folder, type: "", flags: .move)
            }
            try GuestSystem.changeDirectory("/cell")
            try GuestSystem.mount(".", on: "/", type: "", flags: .move)
            try GuestSystem.changeRoot(".")
            try GuestSystem.changeDirectory("/")
            try GuestSystem.mount("", on: "/", type: "", flags: [.recursive, .privatePropagation])
        }
    }

    /// The rest: temporary file systems, cgroups, kernel settings, the root disk.
    mutating func late() {
        attempt { () throws(LinuxError) in
            try GuestSystem.mount("tmpfs", on: "/run", type: "tmpfs", data: "mode=755")
            try GuestSystem.mount("tmpfs", on: "/tmp", type: "tmpfs", data: "mode=1777")
            try? Files.makeFolder("/dev/pts")
            try? Files.makeFolder("/dev/shm")
            try GuestSystem.mount("devpts", on: "/dev/pts", type: "devpts", data: "ptmxmode=666")
            try GuestSystem.mount("tmpfs", on: "/dev/shm", type: "tmpfs", data: "mode=1777")
        }
        hasCgroups = attempt { () throws(LinuxError) in
            try GuestSystem.mount("cgroup2", on: Self.cgroupFolder, type: "cgroup2")
        }
        attempt { () throws(LinuxError) in try GuestSystem.raiseLoopback() }
        attempt { () throws(LinuxError) in try GuestSystem.setHostName("crlab") }
        let settings = [
            ("kernel/print-fatal-signals", "1"), ("debug/exception-trace", "1"), ("kernel/printk_ratelimit", "0"),
            ("kernel/core_pattern", ""), ("kernel/core_uses_pid", "0"), ("kernel/hung_task_timeout_secs", "60"),
            ("kernel/printk", "4 4 1 4"),
        ]
        for (name, value) in settings {
            attempt { () throws(LinuxError) in
                try Files.write(Array((value + "\n").utf8), to: "/proc/sys/" + name)
            }
        }
        if let device = Self.disk(serial: GuestProtocol.runtimeDiskSerial) {
            attempt { () throws(LinuxError) in
                try GuestSystem.mount(
                    device, on: Self.runtimesFolder, type: "ext4", flags: [.readOnly, .noDev], data: "noload")
            }
            // What a system's own tools would load when criu and runsc ask for it.
            loadModules("/etc/crlab/modules-extra")
        }
        if (try? Files.status(of: Self.diskDevice)) != nil {
            hasDisk = attempt { () throws(LinuxError) in
                try GuestSystem.mount(
                    Self.diskDevice, on: Self.diskFolder, type: "ext4", flags: [.readOnly, .noDev], data: "noload")
            }
        }
    }

    /// The device of the port to the lab; waits for it to appear.
    static func portPath(name: String, seconds: Double) throws(AgentError) -> String {
        let deadline = Deadline(seconds: seconds)
        let folder = "/sys/class/virtio-ports"
        while true {
            for port in (try? Files.names(in: folder)) ?? [] {
                let text = (try? Files.text(of: "\(folder)/\(port)/name")) ?? ""
                if text.split(separator: "\n").first == name[...] { return "/dev/" + port }
            }
            if deadline.remainingNanoseconds == 0 { throw .portMissing(name: name, seconds: seconds) }
            // Nothing announces a port to a process without netlink; the sysfs folder is looked at every 5 ms.
            var none: [PollRequest] = []
            _ = try? PollRequest.wait(&none, milliseconds: 5)
        }
    }

    /// Runs a step whose failure is only a warning.
    @discardableResult
    private mutating func attempt(_ body: () throws(LinuxError) -> Void) -> Bool {
        do throws(LinuxError) {
            try body()
            return true
        } catch {
            warnings.append(error.explanation.line)
            return false
        }
    }
}

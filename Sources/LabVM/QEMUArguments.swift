import CRModel
import GuestWire

/// The command line of one guest.
///
/// Every word is a measured choice; `README.md` says which symptom each of the kernel's words prevents.
struct QEMUArguments {
    /// Numbers of the descriptors that QEMU inherits.
    enum Inherited {
        static let agent: Int32 = 3
        static let monitor: Int32 = 4
        static let console: Int32 = 5
    }

    var qemu: QEMUBinary
    var spec: HostSpec
    var cpu: CPUChoice
    var images: BootImages
    var accelerator: Accelerator
    /// Of the lab machine, in kHz; 0 leaves the guest to measure it.
    var tscKilohertz: Int
    var memory = Memory.own

    /// Where the guest's memory is.
    enum Memory: Sendable {
        case own
        /// In a file, which becomes a template's.
        case template(String)
        /// A template's, copied on write. QEMU waits for the template's state.
        case clone(String)
    }

    var words: [String] { [qemu.executable, "-name", "crlab-\(spec.name)"] + machineWords }

    /// All but the host's name, which a guest does not see.
    var machineWords: [String] {
        let isMicrovm = spec.machine == "microvm"
        let bus = isMicrovm ? "device" : "pci"
        var words: [String] = []
        for folder in qemu.dataFolders { words += ["-L", folder] }
        words += memoryWords
        words += [
            "-accel", accelerator.rawValue, "-cpu", cpu.argument + ",enforce",
            "-smp", "1", "-m", "\(spec.memoryMebibytes)M",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-kernel", images.kernel, "-initrd", images.initramfs, "-append", kernelCommandLine,
            "-chardev", "socket,id=console,fd=\(Inherited.console)", "-serial", "chardev:console",
            "-chardev", "socket,id=monitor,fd=\(Inherited.monitor)", "-mon", "chardev=monitor,mode=control",
            "-device", "virtio-serial-\(bus)", "-chardev", "socket,id=agent,fd=\(Inherited.agent)",
            "-device", "virtserialport,chardev=agent,name=\(GuestProtocol.portName)",
        ]
        for (name, disk) in [("root", images.disk), (GuestProtocol.runtimeDiskSerial, images.runtimeDisk)] {
            guard let disk else { continue }
            // JSON, because a comma in a path would end a key=value list.
            let block = JSONValue.object([
                "driver": .string("raw"), "node-name": .string(name), "read-only": .bool(true),
                "file": .object([
                    "driver": .string("file"), "filename": .string(disk), "read-only": .bool(true),
                ]),
            ])
            words += [
                "-blockdev", block.serialized(pretty: false),
                "-device", "virtio-blk-\(bus),drive=\(name),serial=\(name)",
            ]
        }
        return words
    }

    private var memoryWords: [String] {
        let (path, shared): (String, Bool)
        switch memory {
        case .own: return ["-machine", spec.machine]
        case .template(let file): (path, shared) = (file, true)
        case .clone(let file): (path, shared) = (file, false)
        }
        let backend = JSONValue.object([
            "qom-type": .string("memory-backend-file"), "id": .string("ram"), "mem-path": .string(path),
            "size": .integer(Int64(spec.memoryMebibytes) << 20), "share": .bool(shared),
        ])
        return [
            "-object", backend.serialized(pretty: false), "-machine", spec.machine + ",memory-backend=ram",
        ] + (shared ? [] : ["-incoming", "defer"])
    }

    /// Words without a dot that the kernel does not know become the environment of init: that is how the static Swift
    /// agent is told not to look for its runtime's folder and not to wait for random numbers.
    var kernelCommandLine: String {
        var words = ["console=ttyS0", "quiet", "panic=-1", "reboot=t"]
        if accelerator == .tcg {
            if tscKilohertz > 0 { words.append("tsc_early_khz=\(tscKilohertz)") }
            words += ["tsc=reliable", "no_timer_check"]
            // TCG goes through `rep movsb` and `rep stosb` byte by byte. The kernel is to take words (erms, fsrm and fsrs off,
            // by number because names came with 5.19; user space still finds them in CPUID) and to clear no page twice.
            words += ["clearcpuid=297,580,395", "init_on_alloc=0"]
        }
        words += [
            "cryptomgr.notests", "mitigations=off", "random.trust_cpu=on", "rcupdate.rcu_expedited=1",
            "noreplace-smp", "8250.nr_uarts=1", "i8042.noaux",
        ]
        words += spec.kernelArguments
        words += ["SWIFT_BACKTRACE=enable=no", "SWIFT_ROOT=/usr", "SWIFT_DETERMINISTIC_HASHING=1"]
        return words.joined(separator: " ")
    }
}

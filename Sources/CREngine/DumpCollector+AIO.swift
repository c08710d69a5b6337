internal import CRImage
internal import LinuxKit

/// Contexts of io_setup(2).
extension DumpCollector {
    static func isAIORing(_ mapping: Mapping) -> Bool { mapping.name.hasPrefix("/[aio]") }

    /// The rings of a process that has no request under way.
    ///
    /// The kernel does not show requests. But buffered reads and writes are done when io_submit(2) returns, so only a
    /// request to poll, to sync or without the page cache can be under way. Where no descriptor can be polled or is
    /// opened O_DIRECT, what is left ends by itself soon: the ring must stand still for a while.
    func aioRings(_ process: FrozenTree.Process, _ mappings: [Mapping]) throws(EngineError) -> [AIORingValue] {
        let rings = mappings.filter { Self.isAIORing($0) }
        guard let first = rings.first else { return [] }
        let pid = process.subject
        let object = "AIO context 0x\(String(first.start, radix: 16))"
        let descriptors = try EngineError.wrap("list the descriptors", task: pid) { () throws(LinuxError) in
            try Procfs.descriptors(of: pid)
        }
        for fd in descriptors {
            let path = "/proc/\(pid)/fd/\(fd)"
            let status = try EngineError.wrap("look at fd \(fd)", task: pid) { () throws(LinuxError) in
                try Files.status(of: path)
            }
            // /dev/null and its kin are devices of major number 1, which nobody can poll but for random and urandom.
            let isPlainDevice =
                status.kind == .character && [3, 5, 7].contains(status.specialDevice & 0xffff_ffff)
                && status.specialDevice >> 32 == 1
            guard status.kind == .regular || status.kind == .directory || isPlainDevice else {
                throw refuse(pid, object, "a request to poll fd \(fd) may be under way, which the kernel does not show")
            }
            let info = try EngineError.wrap("look at fd \(fd)", task: pid) { () throws(LinuxError) in
                try Procfs.descriptorInfo(pid, fd)
            }
            if info.flags & 0o40000 != 0 {
                throw refuse(pid, object, "direct I/O on fd \(fd) may be under way, which the kernel does not show")
            }
        }
        let before = try rings.map { mapping throws(EngineError) in try content(of: mapping, pid) }
        _ = Signals.take(0, timeoutNanoseconds: 5_000_000)
        for (mapping, ring) in zip(rings, before) where try content(of: mapping, pid) != ring {
            throw refuse(pid, object, "a request is under way")
        }
        return before
    }

    private func content(of mapping: Mapping, _ pid: Int32) throws(EngineError) -> AIORingValue {
        var ring = AIORingValue()
        ring.start = mapping.start
        ring.content = try EngineError.wrap("read an AIO ring", task: pid) { () throws(LinuxError) in
            try RemoteMemory.read(pid, at: mapping.start, count: Int(mapping.sizeBytes))
        }
        return ring
    }
}

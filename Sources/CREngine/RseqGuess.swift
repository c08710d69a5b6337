internal import CRImage
internal import LinuxKit

/// Finds an rseq registration on kernels before 5.13, which do not tell.
///
/// Registering the same area again answers EBUSY, with another signature EPERM, and any other area EINVAL. glibc 2.35 and
/// later register an area at `__rseq_offset` from the thread pointer; static programs and allocators with an area of their
/// own keep it in thread-local storage as well.
enum RseqGuess {
    private static let signature: UInt32 = 0x5305_3053
    /// How far thread-local storage is searched below and above the thread pointer.
    private static let below: UInt64 = 65536
    private static let above: UInt64 = 8192

    /// - Parameter offset: What ``offset(_:)`` found.
    /// - Throws: `EngineError.refused` for a registration that cannot be found: without it, the sequences that the task
    ///   takes for restartable would not be.
    static func find(_ remote: RemoteTask, _ offset: Int64?) throws(EngineError) -> RseqValue? {
        // A task that has only just executed a program has no thread pointer yet, and so no area either. Asking for the
        // address 0 would succeed without registering anything, and could not be undone.
        let pointer = remote.original.fsBase
        guard pointer != 0 else { return nil }
        // An address of the kernel's shows whether there is a registration, and can never become one: EINVAL because
        // another area is registered, else EFAULT.
        let elsewhere = try remote.attempt(.rseq, [0xffff_8000_0000_0000, 32, 0, UInt64(signature)])
        guard Kernel.errno(of: elsewhere) == .invalid else { return nil }
        if let offset {
            let address = pointer &+ UInt64(bitPattern: offset)
            let answer = try remote.attempt(.rseq, [address, 32, 0, UInt64(signature)])
            if Kernel.errno(of: answer) == .busy { return value(address) }
        }
        // None of these can succeed while there is a registration, so there is nothing to undo.
        let places = candidates(remote.task, pointer)
        var batch = RemoteBatch()
        for address in places { batch.ask(.rseq, address, 32, 0, UInt64(signature)) }
        for (address, answer) in zip(places, try remote.run(batch)) where Kernel.errno(of: answer) == .busy {
            return value(address)
        }
        throw .refused(
            .unsupported(
                task: remote.task, object: "rseq registration",
                "this kernel does not tell where it is (5.13 does), and it is not near the thread pointer"))
    }

    private static func value(_ address: UInt64) -> RseqValue {
        var value = RseqValue()
        value.address = address
        value.sizeBytes = 32
        value.signature = signature
        return value
    }

    /// Places that look like a registered area: both CPU numbers are the same, and no number is far off.
    private static func candidates(_ task: Int32, _ pointer: UInt64) -> [UInt64] {
        var found: [UInt64] = []
        var page = (pointer &- below) & ~4095
        while page < pointer &+ above {
            if let bytes = try? RemoteMemory.read(task, at: page, count: 4096) {
                for offset in stride(from: 0, to: 4096, by: 32)
                where bytes.half(at: offset) == bytes.half(at: offset + 4) && bytes.half(at: offset) < 8192 {
                    found.append(page + UInt64(offset))
                }
            }
            page += 4096
        }
        // Mostly it is near.
        return found.sorted { a, b in distance(a, pointer) < distance(b, pointer) }
    }

    private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { a > b ? a - b : b - a }

    /// The value of `__rseq_offset` in the process's dynamic linker.
    static func offset(_ process: Int32) -> Int64? {
        guard let mappings = try? Procfs.mappingsWithoutFlags(process) else { return nil }
        var seen: Set<String> = []
        for mapping in mappings where mapping.fileOffset == 0 && mapping.name.hasPrefix("/") {
            let name = mapping.name.split(separator: "/").last ?? ""
            guard name.hasPrefix("ld-") || name.hasPrefix("ld."), seen.insert(mapping.name).inserted else { continue }
            let range = String(mapping.start, radix: 16) + "-" + String(mapping.end, radix: 16)
            guard let bytes = try? Files.contents(of: "/proc/\(process)/map_files/\(range)"),
                let file = try? ELFFile(bytes), let symbol = file.symbols.first(where: { $0.name == "__rseq_offset" }),
                let value = try? RemoteMemory.read(
                    process, at: mapping.start &- file.lowestAddress &+ symbol.address, count: 8)
            else { continue }
            return Int64(bitPattern: value.word(at: 0))
        }
        return nil
    }
}

internal import CRImage
internal import LinuxKit

/// Finds an rseq registration on kernels before 5.13, which do not tell.
///
/// glibc 2.35 and later register an area at `__rseq_offset` from the thread pointer. Registering the same area again
/// answers EBUSY, and nothing else does.
enum RseqGuess {
    private static let signature: UInt32 = 0x5305_3053

    static func find(_ remote: RemoteTask, _ process: Int32) throws(EngineError) -> RseqValue? {
        // A task that has only just executed a program has no thread pointer yet, and so no area either. Asking for the
        // address 0 would succeed without registering anything, and could not be undone.
        guard remote.original.fsBase != 0, let offset = offset(process) else { return nil }
        let address = remote.original.fsBase &+ UInt64(bitPattern: offset)
        let answer = try remote.attempt(.rseq, [address, 32, 0, UInt64(signature)])
        if Kernel.errno(of: answer) == nil {
            // It was free: undo at once.
            try remote.call(.rseq, address, 32, 1, UInt64(signature), doing: "undo an rseq registration")
            return nil
        }
        guard Kernel.errno(of: answer) == .busy else { return nil }
        var value = RseqValue()
        value.address = address
        value.sizeBytes = 32
        value.signature = signature
        return value
    }

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

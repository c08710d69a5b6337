internal import LinuxKit

/// Memory that the engine and all stubs have at the same address: what one writes there the others read, without any call.
final class SharedPages {
    let start: UInt64
    let count: Int

    /// Maps them here; every stub that is forked from now on has them too.
    init(at start: UInt64, count: Int) throws(LinuxError) {
        self.start = start
        self.count = count
        // PROT_READ|PROT_WRITE; MAP_SHARED|MAP_ANONYMOUS|MAP_NORESERVE|MAP_FIXED_NOREPLACE
        try Kernel.call(.mmap, start, UInt64(count), 3, 0x10_4021, .max, 0, on: "memory to share with stubs")
    }

    deinit { _ = Kernel.attempt(.munmap, start, UInt64(count)) }

    /// Maps a page of code here, which stubs get a copy of.
    static func mapCode(at start: UInt64, _ pieces: [(offset: Int, bytes: [UInt8])]) throws(LinuxError) {
        // MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE
        try Kernel.call(.mmap, start, 4096, 3, 0x10_0022, .max, 0, on: "a page for code")
        for piece in pieces {
            // SAFETY: the page was mapped just now, and the pieces are parts of it.
            UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: UInt(start)), count: 4096)[
                piece.offset..<(piece.offset + piece.bytes.count)
            ].copyBytes(from: piece.bytes)
        }
        try Kernel.call(.mprotect, start, 4096, 5, on: "a page for code")
    }

    static func unmapCode(at start: UInt64) { _ = Kernel.attempt(.munmap, start, 4096) }

    func holds(_ address: UInt64, _ size: Int) -> Bool {
        address >= start && size <= count && address - start <= UInt64(count - size)
    }

    /// - Precondition: ``holds(_:_:)``.
    private func bytes(_ address: UInt64, _ size: Int) -> UnsafeMutableRawBufferPointer {
        precondition(holds(address, size), "outside the shared pages")
        // SAFETY: inside the mapping, which lives as long as this object.
        return UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: UInt(address)), count: size)
    }

    func write(_ source: [UInt8], at address: UInt64) { bytes(address, source.count).copyBytes(from: source) }

    func write(words: [UInt64], at address: UInt64) {
        words.withUnsafeBytes { bytes(address, $0.count).copyMemory(from: $0) }
    }

    func read(at address: UInt64, count: Int) -> [UInt8] { Array(bytes(address, count)) }

    func word(at address: UInt64) -> UInt64 { bytes(address, 8).loadUnaligned(as: UInt64.self) }
}

/// Writes the archive format of an initramfs: `newc`, owner root, time zero, so that equal content gives equal bytes.
///
/// Device nodes are entries like any other, which is why this needs no root and no program.
///
/// - Source: `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel.
struct CPIOWriter {
    private(set) var bytes: [UInt8] = []
    private var inode: UInt32 = 0

    /// - Parameter path: Relative to the root, without a leading slash; folders must be added before their content.
    mutating func addFolder(_ path: String, mode: UInt32 = 0o755) { add(path, mode: 0o040000 | mode) }

    mutating func addFile(_ path: String, mode: UInt32 = 0o644, content: [UInt8]) {
        add(path, mode: 0o100000 | mode, content: content)
    }

    mutating func addCharacterDevice(_ path: String, mode: UInt32, major: UInt32, minor: UInt32) {
        add(path, mode: 0o020000 | mode, device: (major, minor))
    }

    mutating func addLink(_ path: String, to destination: String) {
        add(path, mode: 0o120777, content: Array(destination.utf8))
    }

    /// Ends the archive.
    mutating func finish() {
        inode = 0
        add("TRAILER!!!", mode: 0, isTrailer: true)
    }

    private mutating func add(
        _ path: String, mode: UInt32, content: [UInt8] = [], device: (UInt32, UInt32) = (0, 0), isTrailer: Bool = false
    ) {
        if !isTrailer { inode += 1 }
        let name = Array(path.utf8) + [0]
        let fields: [UInt32] = [
            isTrailer ? 0 : inode, mode, 0, 0, 1, 0, UInt32(content.count), 0, 0, device.0, device.1,
            UInt32(name.count), 0,
        ]
        bytes += Array("070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16)
            bytes += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        bytes += name
        pad()
        bytes += content
        pad()
    }

    private mutating func pad() { bytes.append(contentsOf: repeatElement(0, count: (4 - bytes.count % 4) % 4)) }
}

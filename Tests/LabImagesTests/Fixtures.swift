/// Small files of the real formats.
enum Fixtures {
    static func number(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// An ELF64 object with a `.modinfo` section.
    static func module(_ entries: [String]) -> [UInt8] {
        let info: [UInt8] = entries.flatMap { entry -> [UInt8] in Array(entry.utf8) + [0] }
        let names = Array("\0.modinfo\0.shstrtab\0".utf8)
        let infoAt = 64
        let namesAt = infoAt + info.count
        let tableAt = namesAt + names.count
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: 0, count: 9)
        bytes += number(1, 2) + number(62, 2) + number(1, 4) + number(0, 8) + number(0, 8) + number(tableAt, 8)
        bytes +=
            number(0, 4) + number(64, 2) + number(0, 2) + number(0, 2) + number(64, 2) + number(3, 2) + number(2, 2)
        bytes += info + names
        func header(_ name: Int, _ offset: Int, _ size: Int) -> [UInt8] {
            number(name, 4) + number(1, 4) + number(0, 8) + number(0, 8) + number(offset, 8) + number(size, 8)
                + Array(repeating: 0, count: 24)
        }
        return bytes + header(0, 0, 0) + header(1, infoAt, info.count) + header(10, namesAt, names.count)
    }

    /// A file with the header of a bzImage.
    static func bzImage(release: String, payload: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        bytes[0x1f1] = 1
        bytes.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
        bytes.replaceSubrange(0x206..<0x208, with: [0x0f, 0x02])
        bytes.replaceSubrange(0x20e..<0x210, with: number(0x100, 2))
        bytes.replaceSubrange(0x248..<0x24c, with: number(0, 4))
        bytes.replaceSubrange(0x24c..<0x250, with: number(payload.count, 4))
        let text = Array((release + " (me) #1").utf8) + [0]
        bytes.replaceSubrange(0x300..<(0x300 + text.count), with: text)
        return bytes + payload
    }
}

/// Reads a `newc` archive, to check the writer by the format's own rules.
enum CPIOReader {
    struct Entry {
        let name: String
        let inode: Int
        let mode: Int
        let owner: [Int]
        let time: Int
        let device: [Int]
        let content: [UInt8]
    }

    static func entries(_ bytes: [UInt8]) -> [Entry] {
        var entries: [Entry] = []
        var at = 0
        while at + 110 <= bytes.count {
            func field(_ index: Int) -> Int {
                let start = at + 6 + index * 8
                return Int(String(decoding: bytes[start..<(start + 8)], as: UTF8.self), radix: 16) ?? -1
            }
            let nameEnd = at + 110 + field(11)
            let name = String(decoding: bytes[(at + 110)..<(nameEnd - 1)], as: UTF8.self)
            let start = (nameEnd + 3) / 4 * 4
            let end = start + field(6)
            entries.append(
                Entry(
                    name: name, inode: field(0), mode: field(1), owner: [field(2), field(3)], time: field(5),
                    device: [field(9), field(10)], content: Array(bytes[start..<end])))
            at = (end + 3) / 4 * 4
            if name == "TRAILER!!!" { break }
        }
        return entries
    }
}

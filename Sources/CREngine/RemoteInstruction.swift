public import LinuxKit

/// Finds code in a task that a remote call can use.
public enum RemoteInstruction {
    /// `syscall`.
    static let systemCall: [UInt8] = [0x0f, 0x05]

    /// The address of a `syscall` instruction in executable memory, the vDSO first: it is there in nearly every task,
    /// small, and nobody unmaps it in between.
    ///
    /// - Parameter mappings: Executable ranges of the task in the order to search.
    /// - Returns: `nil` when no mapping holds one.
    public static func findSystemCall(
        _ process: Int32, in mappings: [RemoteMemory.Range]
    ) throws(EngineError) -> UInt64? {
        for mapping in mappings {
            var position = mapping.start
            let end = mapping.start + UInt64(mapping.count)
            while position < end {
                // One byte of overlap, for an instruction across the border of two pieces.
                let count = Int(min(end - position, 65537))
                guard let bytes = try? RemoteMemory.read(process, at: position, count: count) else { break }
                if let index = find(in: bytes) { return position + UInt64(index) }
                if count < 65537 { break }
                position += 65536
            }
        }
        return nil
    }

    /// `mov $15, %eax` or `mov $15, %rax`, and `syscall`: where, and how many bytes.
    static func findSignalReturn(in bytes: [UInt8]) -> (Int, Int)? {
        guard let index = RemoteMemory.find([0x0f, 0, 0, 0, 0x0f, 0x05], in: bytes, from: 0) else { return nil }
        if index >= 3, bytes[(index - 3)..<index] == [0x48, 0xc7, 0xc0] { return (index - 3, 9) }
        if index >= 1, bytes[index - 1] == 0xb8 { return (index - 1, 7) }
        return nil
    }

    /// `syscall`, then instructions that clear or pop registers, then `ret`: where, and how many are popped.
    static func findExit(in bytes: [UInt8]) -> (Int, Int)? {
        var from = 0
        while let index = RemoteMemory.find(systemCall, in: bytes, from: from) {
            if let pops = pops(bytes, index + 2) { return (index, pops) }
            from = index + 2
        }
        return nil
    }

    private static func pops(_ bytes: [UInt8], _ start: Int) -> Int? {
        var (index, pops) = (start, 0)
        while index + 2 < bytes.count {
            // xor of a register with itself, those of r8 to r15 with a prefix.
            func isClearing(_ at: Int) -> Bool {
                bytes[at] == 0x31 && bytes[at + 1] >= 0xc0 && bytes[at + 1] >> 3 & 7 == bytes[at + 1] & 7
            }
            switch bytes[index] {
            case 0xc3: return pops <= 6 ? pops : nil
            case 0x31 where isClearing(index) && bytes[index + 1] != 0xe4: index += 2
            case 0x45 where isClearing(index + 1): index += 3
            case 0x58...0x5b, 0x5d...0x5f: (index, pops) = (index + 1, pops + 1)
            case 0x41 where (0x58...0x5f).contains(bytes[index + 1]): (index, pops) = (index + 2, pops + 1)
            default: return nil
            }
        }
        // The last byte of what was read.
        return nil
    }

    static func find(in bytes: [UInt8]) -> Int? {
        var index = 0
        while index + 1 < bytes.count {
            if bytes[index] == systemCall[0], bytes[index + 1] == systemCall[1] { return index }
            index += 1
        }
        return nil
    }
}

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

    static func find(in bytes: [UInt8]) -> Int? {
        var index = 0
        while index + 1 < bytes.count {
            if bytes[index] == systemCall[0], bytes[index + 1] == systemCall[1] { return index }
            index += 1
        }
        return nil
    }
}

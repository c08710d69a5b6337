internal import CLinux

/// The memory of another process: process_vm_readv(2) and process_vm_writev(2).
public enum RemoteMemory {
    /// One piece of the other address space.
    public struct Range: Sendable, Hashable {
        public var start: UInt64
        public var count: Int

        public init(start: UInt64, count: Int) {
            self.start = start
            self.count = count
        }
    }

    /// The most pieces that one call takes (UIO_MAXIOV).
    public static let maximumRanges = 1024

    /// Reads exactly `count` bytes.
    public static func read(_ process: Int32, at address: UInt64, count: Int) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: LinuxError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(LinuxError) {
                try read(process, [Range(start: address, count: count)], into: buffer)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads pieces one after the other into `buffer`, filling it from the start.
    ///
    /// - Precondition: `buffer` holds at least the sum of the pieces.
    /// - Throws: `LinuxError.call` naming the first address that could not be read.
    public static func read(
        _ process: Int32, _ ranges: [Range], into buffer: UnsafeMutableRawBufferPointer
    ) throws(LinuxError) {
        try transfer(.process_vm_readv, process, ranges, Kernel.number(buffer.baseAddress), buffer.count)
    }

    /// Writes `bytes` at `address`. The pages must be writable for the other process itself.
    public static func write(_ process: Int32, at address: UInt64, _ bytes: [UInt8]) throws(LinuxError) {
        var failure: LinuxError?
        bytes.withUnsafeBytes { buffer in
            do throws(LinuxError) {
                try write(process, [Range(start: address, count: buffer.count)], from: buffer)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes words as memory holds them into pieces one after the other.
    public static func write(_ process: Int32, _ ranges: [Range], words: [UInt64]) throws(LinuxError) {
        var failure: LinuxError?
        words.withUnsafeBytes { buffer in
            do throws(LinuxError) { try write(process, ranges, from: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Where a short series of bytes comes first at or behind `from`.
    public static func find(_ wanted: [UInt8], in bytes: [UInt8], from: Int) -> Int? {
        guard from <= bytes.count else { return nil }
        // SAFETY: crl_find() only reads both arrays, which live and do not move in the closures, within the sizes given.
        return bytes.withUnsafeBytes { buffer in
            wanted.withUnsafeBytes { pattern in
                guard let base = buffer.baseAddress, let words = pattern.baseAddress,
                    let found = crl_find(base + from, buffer.count - from, words, pattern.count)
                else { return nil }
                return found - base
            }
        }
    }

    /// Reads pieces one after the other as words.
    public static func words(_ process: Int32, _ ranges: [Range]) throws(LinuxError) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: ranges.reduce(0) { $0 + $1.count } / 8)
        var failure: LinuxError?
        words.withUnsafeMutableBytes { buffer in
            do throws(LinuxError) { try read(process, ranges, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return words
    }

    /// Writes `buffer` into pieces one after the other.
    public static func write(
        _ process: Int32, _ ranges: [Range], from buffer: UnsafeRawBufferPointer
    ) throws(LinuxError) {
        try transfer(.process_vm_writev, process, ranges, Kernel.number(buffer.baseAddress), buffer.count)
    }

    private static func transfer(
        _ call: SystemCall, _ process: Int32, _ ranges: [Range], _ local: UInt64, _ capacity: Int
    ) throws(LinuxError) {
        precondition(ranges.reduce(0) { $0 + $1.count } <= capacity, "pieces exceed the buffer")
        var local = local
        var index = 0
        // How far into ranges[index] earlier calls got: the kernel may stop at any page.
        var done = 0
        while index < ranges.count {
            if ranges[index].count == done {
                index += 1
                done = 0
                continue
            }
            var vector: [UInt64] = []
            var total = 0
            for (offset, range) in ranges[index..<min(index + maximumRanges, ranges.count)].enumerated() {
                let skip = offset == 0 ? done : 0
                vector.append(range.start + UInt64(skip))
                vector.append(UInt64(range.count - skip))
                total += range.count - skip
            }
            var here: (UInt64, UInt64) = (local, UInt64(total))
            // SAFETY: `here` lies inside the caller's buffer (checked above); both vectors live through the call.
            let answer = vector.withUnsafeBytes { remote in
                withUnsafeMutablePointer(to: &here) { here in
                    Kernel.attempt(
                        call, Kernel.number(process), Kernel.number(UnsafeRawPointer(here)), 1,
                        Kernel.number(remote.baseAddress), UInt64(remote.count / 16), 0)
                }
            }
            let place = ranges[index].start + UInt64(done)
            if let errno = Kernel.errno(of: answer) {
                throw .call(call.name, object: "task \(process) at 0x\(String(place, radix: 16))", errno)
            }
            if answer == 0 {
                throw .call(call.name, object: "task \(process) at 0x\(String(place, radix: 16))", .fault)
            }
            local += UInt64(answer)
            var moved = Int(answer)
            while moved > 0 {
                let step = min(moved, ranges[index].count - done)
                done += step
                moved -= step
                if done == ranges[index].count {
                    index += 1
                    done = 0
                }
            }
        }
    }
}

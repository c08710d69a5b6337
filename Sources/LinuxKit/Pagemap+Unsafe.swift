/// One page as `/proc/PID/pagemap` describes it.
///
/// - Source: `Documentation/admin-guide/mm/pagemap.rst`.
public struct PagemapEntry: Sendable, Hashable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public var isPresent: Bool { rawValue >> 63 & 1 != 0 }
    public var isSwapped: Bool { rawValue >> 62 & 1 != 0 }
    /// The page belongs to a file or to shared anonymous memory.
    public var isFilePage: Bool { rawValue >> 61 & 1 != 0 }
    /// A lightweight guard (MADV_GUARD_INSTALL), shown since kernel 6.15.
    public var isGuard: Bool { rawValue >> 58 & 1 != 0 }
    public var isSoftDirty: Bool { rawValue >> 55 & 1 != 0 }
    /// Private memory that holds something: what a dump must carry of a private mapping. In a private file mapping this is
    /// true exactly for the copied pages.
    ///
    /// A guard counts as swapped.
    public var isPrivateContent: Bool { (isPresent || isSwapped) && !isFilePage && !isGuard }
}

extension PagemapEntry {
    /// Whether two processes have the very same private page: one page frame, or one place in swap. Kernels hide both
    /// numbers from whom they do not trust (CAP_SYS_ADMIN); then no page is known to be the same.
    public func isSamePage(as other: PagemapEntry) -> Bool {
        let place: UInt64 = 1 << 55 - 1
        return rawValue & place != 0 && rawValue & place == other.rawValue & place
            && isSwapped == other.isSwapped && isPrivateContent && other.isPrivateContent
    }
}

/// `/proc/PID/pagemap`, open. Close with ``close()``.
public struct Pagemap: Sendable {
    private let fd: Int32
    private let process: Int32

    /// Opens the pagemap of a process.
    public init(process: Int32) throws(LinuxError) {
        self.process = process
        fd = try Files.open("/proc/\(process)/pagemap", .readOnly)
    }

    /// Closes the descriptor.
    public func close() { Files.close(fd) }

    /// The entries of `count` pages from `address`; fewer only at the end of the address space.
    ///
    /// - Parameter address: Page-aligned, in bytes.
    public func entries(from address: UInt64, count: Int) throws(LinuxError) -> [PagemapEntry] {
        try words(from: address, count: count).map { PagemapEntry(rawValue: $0) }
    }

    private func words(from address: UInt64, count: Int) throws(LinuxError) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        var done = 0
        var failure: LinuxError?
        words.withUnsafeMutableBytes { buffer in
            while done < buffer.count {
                // SAFETY: the piece lies inside `buffer`.
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                do throws(LinuxError) {
                    let got = try Files.read(fd, at: address / 4096 * 8 + UInt64(done), into: rest)
                    if got == 0 { break }
                    done += got
                } catch {
                    failure = error
                    break
                }
            }
        }
        if let failure { throw failure }
        if done < words.count * 8 { words.removeLast(words.count - done / 8) }
        return words
    }

    /// What was read of a page map that is compared with several others, by address: up to 8 MiB.
    public struct Cache {
        fileprivate var words: [Range<UInt64>: [UInt64]] = [:]
        fileprivate var count = 0

        public init() {}
    }

    /// Finds the pages that two processes have in common: see ``PagemapEntry/isSamePage(as:)``.
    ///
    /// - Parameters:
    ///   - cache: Of `other`.
    ///   - range: Page-aligned; at most 65,536 pages.
    /// - Returns: Ascending ranges, apart from each other.
    public func samePages(
        as other: Pagemap, _ cache: inout Cache, in range: Range<UInt64>
    ) throws(LinuxError) -> [Range<UInt64>] {
        let count = Int((range.upperBound - range.lowerBound) / 4096)
        let own = try words(from: range.lowerBound, count: count)
        let theirs: [UInt64]
        if let known = cache.words[range] {
            theirs = known
        } else {
            theirs = try other.words(from: range.lowerBound, count: count)
            if cache.count + count > 1 << 20 { cache = Cache() }
            cache.words[range] = theirs
            cache.count += count
        }
        var ranges: [Range<UInt64>] = []
        var start: Int?
        let shorter = min(own.count, theirs.count)
        own.withUnsafeBufferPointer { own in
            theirs.withUnsafeBufferPointer { theirs in
                var index = 0
                while index < shorter {
                    // SAFETY: `index` is below both counts. Most pairs differ or are empty, which one look tells.
                    let word = own[index]
                    let isSame =
                        word != 0 && (word ^ theirs[index]) & ((1 << 55) - 1) == 0
                        && PagemapEntry(rawValue: word).isSamePage(as: PagemapEntry(rawValue: theirs[index]))
                    if isSame {
                        if start == nil { start = index }
                    } else if let first = start {
                        ranges.append(Self.range(range.lowerBound, first, index))
                        start = nil
                    }
                    index += 1
                }
            }
        }
        if let first = start { ranges.append(Self.range(range.lowerBound, first, shorter)) }
        return ranges
    }

    private static func range(_ base: UInt64, _ first: Int, _ end: Int) -> Range<UInt64> {
        (base + UInt64(first) * 4096)..<(base + UInt64(end) * 4096)
    }

    /// Private memory that holds something, by PAGEMAP_SCAN (6.7): the kernel hands out ranges instead of a word per page.
    ///
    /// - Parameters:
    ///   - range: Page-aligned addresses.
    ///   - skipsZeros: Leave out pages that the kernel's zero page backs.
    /// - Returns: At most 1024 ranges, and where the walk ended; `nil` when this kernel cannot do it.
    public func scan(
        _ range: Range<UInt64>, skipsZeros: Bool
    ) throws(LinuxError) -> (ranges: [Range<UInt64>], end: UInt64)? {
        // PAGE_IS_FILE, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_PFNZERO, PAGE_IS_GUARD (6.15)
        let (file, present, swapped, zero, guarded): (UInt64, UInt64, UInt64, UInt64, UInt64) = (4, 8, 16, 32, 256)
        var regions = [UInt64](repeating: 0, count: 3 * 1024)
        for withGuards in [true, false] {
            let excluded = file | (skipsZeros ? zero : 0) | (withGuards ? guarded : 0)
            // SAFETY: the kernel writes at most 1024 regions of three words into `regions`, and into `argument`.
            let (answer, end) = regions.withUnsafeMutableBytes { buffer -> (Int64, UInt64) in
                // struct pm_scan_arg: size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
                // category_mask, category_anyof_mask, return_mask
                var argument: [UInt64] = [
                    96, 0, range.lowerBound, range.upperBound, 0, Kernel.number(UnsafeRawPointer(buffer.baseAddress)),
                    1024, 0, excluded, excluded, present | swapped, present,
                ]
                return argument.withUnsafeMutableBytes {
                    let answer = Kernel.attempt(
                        .ioctl, Kernel.number(fd), 0xc060_6610, Kernel.number(UnsafeRawPointer($0.baseAddress)))
                    return (answer, $0.load(fromByteOffset: 32, as: UInt64.self))
                }
            }
            if let errno = Kernel.errno(of: answer) {
                if errno == .invalid, withGuards { continue }
                if errno == .invalid || errno == .notTerminal { return nil }
                throw .call("ioctl(PAGEMAP_SCAN)", object: "the page map of task \(process)", errno)
            }
            let ranges = (0..<Int(answer)).map { regions[$0 * 3]..<regions[$0 * 3 + 1] }
            return (ranges, end)
        }
        return nil
    }
}

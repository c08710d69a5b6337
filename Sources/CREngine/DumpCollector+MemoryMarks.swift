internal import CRImage
internal import LinuxKit

/// What the list of mappings does not show.
extension DumpCollector {
    /// Guard pages: pairs of start and end.
    ///
    /// The page map shows them since kernel 6.15 and the flags of a VMA (`gu`) say where to look since 6.18; the kernels
    /// 6.13 and 6.14 can make them and tell nobody.
    func guards(of pid: Int32, _ mappings: [Mapping]) throws(EngineError) -> [UInt64] {
        let candidates = mappings.filter { $0.flags.contains("gu") }
        if candidates.isEmpty { return [] }
        var ranges: [UInt64] = []
        try EngineError.wrap("look for guard pages", task: pid) { () throws(LinuxError) in
            let pagemap = try Pagemap(process: pid)
            defer { pagemap.close() }
            for mapping in candidates {
                var address = mapping.start
                while address < mapping.end {
                    let count = Int(min((mapping.end - address) / 4096, 65536))
                    let entries = try pagemap.entries(from: address, count: count)
                    for (index, entry) in entries.enumerated() where entry.isGuard {
                        let page = address + UInt64(index) * 4096
                        if ranges.last == page {
                            ranges[ranges.count - 1] = page + 4096
                        } else {
                            ranges += [page, page + 4096]
                        }
                    }
                    address += UInt64(count) * 4096
                }
            }
        }
        return ranges
    }

    /// What mbind(2) said of each VMA: start, end, mode, nodes. `/proc/PID/numa_maps` would have the kernel count all pages.
    func memoryPolicies(_ remote: RemoteTask, _ space: AddressSpaceRecord) throws(EngineError) -> [UInt64] {
        guard Kernel.errno(of: Kernel.attempt(.get_mempolicy, 0, 0, 0, 0, 0)) == nil else { return [] }
        let scratch = try remote.scratch()
        var policies: [UInt64] = []
        let vmas = space.vmas.filter { $0.kind != .vdso && $0.kind != .vvar }
        for some in stride(from: 0, to: vmas.count, by: 60).map({ vmas[$0..<min($0 + 60, vmas.count)] }) {
            var batch = RemoteBatch()
            for (index, vma) in some.enumerated() {
                let place = scratch + UInt64(index * 16)
                batch.ask(.get_mempolicy, place, place + 8, 64, vma.start, 2)  // MPOL_F_ADDR
            }
            let answers = try remote.run(batch)
            let words = try remote.read(at: scratch, count: some.count * 16)
            for (index, vma) in some.enumerated() where Kernel.errno(of: answers[index]) == nil {
                let mode = UInt64(words.half(at: index * 16))
                if mode != 0 { policies += [vma.start, vma.end, mode, words.word(at: index * 16 + 8)] }
            }
        }
        return policies
    }

    /// What mlockall(2) said of mappings to come: MCL_FUTURE 2, MCL_ONFAULT 4; 0 for nothing.
    ///
    /// The kernel shows it nowhere, but the scratch memory is such a mapping: it counts as locked, and unless locking
    /// waits for the first use, its pages are there though nobody has touched them.
    func futureLock(_ process: FrozenTree.Process, scratch: UInt64) throws(EngineError) -> UInt32 {
        try EngineError.wrap("look at the locked memory", task: process.subject) { () throws(LinuxError) in
            guard try Procfs.status(process.subject).lockedKibibytes > process.status.lockedKibibytes else { return 0 }
            let pagemap = try Pagemap(process: process.subject)
            defer { pagemap.close() }
            return try pagemap.entries(from: scratch, count: 1).first?.isPresent == true ? 2 : 6
        }
    }
}

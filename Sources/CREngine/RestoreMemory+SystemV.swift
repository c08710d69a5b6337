internal import CRImage
internal import LinuxKit

/// Attaching System V segments.
extension RestoreMemory {
    /// Attaches a segment for one of its VMAs.
    ///
    /// shmdt(2) takes away all VMAs of one attachment, so those that were one become one again where the room that the
    /// segment needs is free; else the part that is wanted is cut out of an attachment elsewhere.
    mutating func attach(
        _ segment: SystemVRecord, _ vma: VMAValue, _ range: Range<UInt64>, sizeBytes: UInt64
    ) throws(EngineError) {
        let id = UInt64(UInt32(bitPattern: segment.id))
        let isWritable = vma.flags.contains(.mayWrite)
        let base = vma.start &- vma.fileOffset
        let isGroup = { (other: VMAValue) in other.inode == vma.inode && other.start &- other.fileOffset == base }
        let group = space.vmas.filter(isGroup)
        let isExecutable = group.contains { $0.protection & 4 != 0 }
        let initial: UInt32 = (isWritable ? 3 : 1) | (isExecutable ? 4 : 0)
        // SHM_RDONLY, SHM_EXEC
        let flags: UInt64 = (isWritable ? 0 : 0o10000) | (isExecutable ? 0o100000 : 0)
        let doing = "attach System V segment \(segment.id) at 0x\(String(base, radix: 16))"
        if !attached.contains(base) {
            let (end, overflow) = base.addingReportingOverflow(sizeBytes)
            let isFree =
                !overflow && base <= vma.start && range == vma.start..<vma.end && group.first == vma
                && kept.parts(of: base..<end, inside: true).isEmpty
                && !space.vmas.contains { $0.start < end && $0.end > base && !isGroup($0) }
                && (end <= stub.area.start || base >= stub.area.end)
            if isFree {
                try stub.call(.shmat, [id, base, flags], doing: doing)
                var taken = RangeList()
                for part in group { taken.append(part.start..<part.end) }
                for hole in taken.parts(of: base..<end, inside: false) {
                    try stub.call(
                        .munmap, [hole.lowerBound, hole.upperBound - hole.lowerBound], doing: "detach a part of it")
                }
                attached.insert(base)
            } else {
                let length = range.upperBound - range.lowerBound
                let skip = range.lowerBound &- base
                guard skip <= sizeBytes, length <= sizeBytes - skip else {
                    throw .image("VMA 0x\(String(vma.start, radix: 16))", why: "it is longer than its segment")
                }
                let start = try stub.call(.shmat, [id, 0, flags], doing: doing)
                // MREMAP_MAYMOVE|MREMAP_FIXED
                try stub.call(.mremap, [start + skip, length, length, 3, range.lowerBound], doing: doing)
                if skip > 0 { try stub.call(.munmap, [start, skip], doing: doing) }
                let rest = sizeBytes - skip - length
                if rest > 0 { try stub.call(.munmap, [start + skip + length, rest], doing: doing) }
            }
        }
        if vma.protection != initial {
            try stub.call(
                .mprotect, [range.lowerBound, range.upperBound - range.lowerBound, UInt64(vma.protection)],
                doing: "protect 0x\(String(range.lowerBound, radix: 16))")
        }
    }
}

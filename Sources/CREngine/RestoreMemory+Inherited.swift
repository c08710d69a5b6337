internal import CRImage
internal import LinuxKit

/// Building over a copy of another address space.
extension RestoreMemory {
    /// Turns the copy of `parent`'s memory that fork(2) made into this one: what fits stays, the rest goes.
    ///
    /// - Parameters:
    ///   - filled: The pages that were in the parent's private memory.
    ///   - inherited: Those of them that are this space's too; the others must read as if never touched.
    mutating func build(
        over parent: RestoreMemory, filled: RangeList, keeping inherited: RangeList
    ) throws(EngineError) {
        let pieces = Inheritance.pieces(space.vmas, over: parent.space.vmas)
        kept = RangeList()
        for piece in pieces { kept.append(piece.range) }
        guard inherited.subtracting(kept).isEmpty, inherited.subtracting(filled).isEmpty else {
            throw .image("address space \(space.number)", why: "it inherits what its parent does not have")
        }
        let home = vdsoHome
        if let place = parent.vdsoHome, place != home { try moveSpecials(from: place, to: stub.area.parking) }
        try unmap(parent, except: kept)
        if avoidsHugePages != parent.avoidsHugePages {
            try stub.call(.prctl, [41, avoidsHugePages ? 1 : 0, 0, 0, 0], doing: "choose the size of pages")
        }
        var next = 0
        for (index, vma) in space.vmas.enumerated() {
            let first = next
            while next < pieces.count, pieces[next].child == index { next += 1 }
            try complete(vma, pieces[first..<next], parent.space.vmas)
        }
        for range in filled.subtracting(inherited).ranges {
            for part in kept.parts(of: range, inside: true) {
                // MADV_DONTNEED
                try stub.later(
                    .madvise, [part.lowerBound, part.upperBound - part.lowerBound, 4],
                    doing: "forget 0x\(String(part.lowerBound, radix: 16)) of the parent")
            }
        }
        if let home, home != parent.vdsoHome { try moveSpecials(from: stub.area.parking, to: home) }
        if !hasSameMarks(as: parent.space) { try setMarks() }
        try stub.launch()
    }

    /// Unmaps what the parent has and this space has not.
    private func unmap(_ parent: RestoreMemory, except kept: RangeList) throws(EngineError) {
        var gone = RangeList()
        for vma in parent.space.vmas where vma.kind != .vvar && !(vma.kind == .vdso && parent.movesVdso) {
            for part in kept.parts(of: vma.start..<vma.end, inside: false) { gone.append(part) }
        }
        // Across holes in one call, as long as nothing that stays lies between.
        var stays = RangeList(merging: [kept, RangeList(pairs: [stub.area.start, stub.area.end])])
        if let home = vdsoHome, home == parent.vdsoHome, let first = specials.first, let last = specials.last {
            stays = RangeList(merging: [stays, RangeList(pairs: [home, home + (last.end - first.start)])])
        }
        var run: Range<UInt64>?
        func flush() throws(EngineError) {
            guard let run else { return }
            try stub.later(
                .munmap, [run.lowerBound, run.upperBound - run.lowerBound], doing: "unmap what is the parent's alone")
        }
        for range in gone.ranges {
            if let last = run, stays.parts(of: last.lowerBound..<range.upperBound, inside: true).isEmpty {
                run = last.lowerBound..<range.upperBound
            } else {
                try flush()
                run = range
            }
        }
        try flush()
    }

    /// Maps what is missing of a VMA, and corrects what is there.
    private mutating func complete(
        _ vma: VMAValue, _ pieces: ArraySlice<Inheritance.Piece>, _ parents: [VMAValue]
    ) throws(EngineError) {
        var position = vma.start
        for piece in pieces {
            if piece.range.lowerBound > position { try map(vma, position..<piece.range.lowerBound) }
            position = piece.range.upperBound
            if parents[piece.parent].protection != vma.protection {
                try stub.later(
                    .mprotect,
                    [piece.range.lowerBound, piece.range.upperBound - piece.range.lowerBound, UInt64(vma.protection)],
                    doing: "protect 0x\(String(vma.start, radix: 16))")
            }
        }
        if position < vma.end { try map(vma, position..<vma.end) }
        if let only = pieces.first, pieces.count == 1, only.range == vma.start..<vma.end,
            parents[only.parent].name == vma.name, vma.flags.isDisjoint(with: [.dontFork, .wipeOnFork])
        {
            return
        }
        try advise(vma)
        if vma.name.isEmpty, pieces.contains(where: { !parents[$0.parent].name.isEmpty }) {
            _ = try stub.attempt(.prctl, [0x5356_4d41, 0, vma.start, vma.end - vma.start, 0])
        }
    }

    private func hasSameMarks(as other: AddressSpaceRecord) -> Bool {
        func marks(_ space: AddressSpaceRecord) -> [UInt64] {
            [
                space.startCode, space.endCode, space.startData, space.endData, space.startBreak, space.programBreak,
                space.startStack, space.argumentsStart, space.argumentsEnd, space.environmentStart,
                space.environmentEnd, UInt64(space.executable),
            ] + space.auxiliaryVector
        }
        return marks(space) == marks(other)
    }
}

internal import CRImage

/// Which address space begins as a copy of which other one, and what of the copy stays.
///
/// Restore forks each process from its parent when the parent's memory is mapped and the pages that both share are in it:
/// then the kernel shares them again, and only the differences between parent and child need calls. Dump and restore
/// both ask here, so that they agree on what a child finds in its memory.
struct Inheritance {
    /// A range that the child takes over as it is.
    struct Piece: Hashable {
        var range: Range<UInt64>
        /// Indices into the lists of VMAs.
        var parent: Int
        var child: Int
    }

    /// Address spaces in the order in which restore builds them.
    private(set) var order: [UInt32] = []
    /// Address space to the one that it is copied from; none for the root's.
    private(set) var sources: [UInt32: UInt32] = [:]
    private var known: Set<UInt32> = []

    init(_ contents: ImageContents, _ plan: RelationPlan) {
        let records = Dictionary(contents.processes.map { ($0.pid, $0) }, uniquingKeysWith: { first, _ in first })
        // Whose memory a process has when it forks; a passing one or a zombie keeps that of its parent.
        var held: [Int32: UInt32] = [:]
        func enter(_ pid: Int32, from parent: Int32?) {
            let source = parent.flatMap { held[$0] }
            guard let record = records[pid], !record.isZombie else {
                held[pid] = source
                return
            }
            held[pid] = record.addressSpace
            if !known.insert(record.addressSpace).inserted { return }
            order.append(record.addressSpace)
            sources[record.addressSpace] = source
        }
        enter(contents.header.root, from: nil)
        for step in plan.steps {
            if case .fork(let parent, let child) = step { enter(child, from: parent) }
        }
    }

    /// What of a copy of `parent`'s VMAs can stay where `child`'s are wanted, ascending.
    static func pieces(_ child: [VMAValue], over parent: [VMAValue]) -> [Piece] {
        var pieces: [Piece] = []
        var above = 0
        for (index, vma) in child.enumerated() {
            while above < parent.count, parent[above].end <= vma.start { above += 1 }
            var other = above
            while other < parent.count, parent[other].start < vma.end {
                if fits(vma, parent[other]) {
                    let range = max(vma.start, parent[other].start)..<min(vma.end, parent[other].end)
                    pieces.append(Piece(range: range, parent: other, child: index))
                }
                other += 1
            }
        }
        return pieces
    }

    /// Whether fork(2) hands a VMA down and nothing but its protection, its name and two marks may have to change.
    private static func fits(_ child: VMAValue, _ parent: VMAValue) -> Bool {
        let changeable: VMAValue.Flags = [.locked, .lockedOnFault, .dontFork, .wipeOnFork]
        guard child.kind == parent.kind, child.kind != .vdso, child.kind != .vvar, child.inode == parent.inode,
            child.flags.subtracting(changeable) == parent.flags.subtracting(changeable),
            parent.flags.isDisjoint(with: [.dontFork, .wipeOnFork, .droppable]),
            // A copy of private huge pages has no reservation.
            child.hugePageShift == parent.hugePageShift, child.hugePageShift == 0 || child.kind == .sharedFile
        else { return false }
        return child.kind == .anonymous || child.fileOffset &- child.start == parent.fileOffset &- parent.start
    }

    /// Pages that are in the memory of `space` when its children are forked, as restore fills it.
    func filled(_ space: UInt32, _ inherited: [UInt32: RangeList]) -> RangeList {
        let children = sources.filter { $0.value == space }.compactMap { inherited[$0.key] }
        return RangeList(merging: children + [inherited[space] ?? RangeList()])
    }
}

/// Ranges of addresses, ascending, apart from each other.
struct RangeList: Hashable {
    private(set) var ranges: [Range<UInt64>] = []

    init() {}

    /// From ascending ranges.
    init(_ ranges: [Range<UInt64>]) { for range in ranges { append(range) } }

    /// From pairs of start and end.
    init(pairs: [UInt64]) {
        for index in stride(from: 0, to: pairs.count - 1, by: 2) { append(pairs[index]..<pairs[index + 1]) }
    }

    init(merging lists: [RangeList]) {
        if lists.count == 1 {
            self = lists[0]
            return
        }
        for range in lists.flatMap(\.ranges).sorted(by: { $0.lowerBound < $1.lowerBound }) { append(range) }
    }

    var isEmpty: Bool { ranges.isEmpty }
    /// Start and end of each range.
    var pairs: [UInt64] { ranges.flatMap { [$0.lowerBound, $0.upperBound] } }

    /// Adds a range that starts behind all the others' starts.
    mutating func append(_ range: Range<UInt64>) {
        if let last = ranges.last, last.upperBound >= range.lowerBound {
            if range.upperBound > last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            }
        } else if !range.isEmpty {
            ranges.append(range)
        }
    }

    /// The parts of `range` that lie inside (or outside) the list, ascending.
    func parts(of range: Range<UInt64>, inside: Bool) -> [Range<UInt64>] {
        var parts: [Range<UInt64>] = []
        var position = range.lowerBound
        var index = first(endingAfter: range.lowerBound)
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            let overlap = ranges[index].clamped(to: range)
            if inside {
                parts.append(overlap)
            } else if overlap.lowerBound > position {
                parts.append(position..<overlap.lowerBound)
            }
            position = overlap.upperBound
            index += 1
        }
        if !inside, position < range.upperBound { parts.append(position..<range.upperBound) }
        return parts
    }

    /// What is in this list and not in `other`.
    func subtracting(_ other: RangeList) -> RangeList {
        if other.isEmpty { return self }
        var list = RangeList()
        for range in ranges { for part in other.parts(of: range, inside: false) { list.append(part) } }
        return list
    }

    private func first(endingAfter address: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

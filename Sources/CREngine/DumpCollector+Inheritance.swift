internal import CRImage
internal import LinuxKit

/// Pages that a process still shares with the one that it was forked from.
extension DumpCollector {
    /// Finds them by their place in physical memory (or swap), and plans the order of pages in the image.
    func findInherited() throws(EngineError) {
        guard spaces.count > 1 else { return }
        let inheritance = Inheritance(contents, try RelationPlan(contents))
        let places = Dictionary(
            spaces.enumerated().map { ($0.element.number, $0.offset) }, uniquingKeysWith: { first, _ in first })
        var inherited: [UInt32: RangeList] = [:]
        // Children of one parent mostly follow each other.
        var cache = Pagemap.Cache()
        var cached: UInt32 = 0
        for number in inheritance.order {
            guard let source = inheritance.sources[number], let place = places[number], let above = places[source]
            else { continue }
            try checkInterruption()
            if cached != source { cache = Pagemap.Cache() }
            cached = source
            let list = try shared(spaces[place], with: spaces[above], &cache)
            if list.isEmpty { continue }
            inherited[number] = list
            guard let index = contents.addressSpaces.firstIndex(where: { $0.number == number }) else { continue }
            contents.addressSpaces[index].inherited = list.pairs
        }
        if inherited.isEmpty { return }
        for index in spaces.indices {
            let number = spaces[index].number
            let filled = inheritance.filled(number, inherited)
            spaces[index].early = filled.subtracting(inherited[number] ?? RangeList())
            spaces[index].notLate = filled
        }
        let rank = Dictionary(
            inheritance.order.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        spaces.sort { (rank[$0.number] ?? .max) < (rank[$1.number] ?? .max) }
    }

    private func shared(
        _ space: Space, with parent: Space, _ cache: inout Pagemap.Cache
    ) throws(EngineError) -> RangeList {
        var list = RangeList()
        let pieces = Inheritance.pieces(space.vmas, over: parent.vmas)
        try EngineError.wrap("compare its memory with that of process \(parent.process)", task: space.process) {
            () throws(LinuxError) in
            let mine = try Pagemap(process: space.process)
            defer { mine.close() }
            let theirs = try Pagemap(process: parent.process)
            defer { theirs.close() }
            for piece in pieces where space.vmas[piece.child].kind != .sharedFile {
                let isUntouched = space.untouched.contains(space.vmas[piece.child].start)
                if isUntouched || parent.untouched.contains(parent.vmas[piece.parent].start) { continue }
                var address = piece.range.lowerBound
                while address < piece.range.upperBound {
                    // A great deal of reserved memory may have few pages; where the kernel can, it says where they are.
                    let end = min(piece.range.upperBound, address + 65536 * 4096)
                    let known = try mine.scan(address..<piece.range.upperBound, skipsZeros: false)
                    for range in known?.ranges ?? [address..<end] {
                        var position = range.lowerBound
                        while position < range.upperBound {
                            let next = min(range.upperBound, position + 65536 * 4096)
                            for part in try mine.samePages(as: theirs, &cache, in: position..<next) {
                                list.append(part)
                            }
                            position = next
                        }
                    }
                    address = known.map { max($0.end, address + 4096) } ?? end
                }
            }
        }
        return list
    }
}

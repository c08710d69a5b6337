import CRImage
import Testing

@testable import CREngine

private func vma(
    _ start: UInt64, _ end: UInt64, _ kind: VMAKind = .anonymous, inode: UInt32 = 0, offset: UInt64 = 0,
    flags: VMAValue.Flags = [], protection: UInt32 = 3
) -> VMAValue {
    var value = VMAValue()
    value.start = start << 12
    value.end = end << 12
    value.kind = kind
    value.inode = inode
    value.fileOffset = offset << 12
    value.flags = flags
    value.protection = protection
    return value
}

struct PieceCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let child: [VMAValue]
    let parent: [VMAValue]
    /// First and last page of what stays.
    let kept: [[UInt64]]
}

struct InheritanceTests {
    static let pieceCases = [
        PieceCase(
            testDescription: "the same memory stays", child: [vma(1, 5)], parent: [vma(1, 5)], kept: [[1, 5]]),
        PieceCase(
            testDescription: "a heap that grew in either", child: [vma(1, 9), vma(20, 30)],
            parent: [vma(1, 5), vma(20, 40)], kept: [[1, 5], [20, 30]]),
        PieceCase(
            testDescription: "protections may differ piece by piece",
            child: [vma(1, 3, protection: 1), vma(3, 9)], parent: [vma(1, 9)], kept: [[1, 3], [3, 9]]),
        PieceCase(
            testDescription: "a file at another offset does not fit",
            child: [vma(1, 5, .privateFile, inode: 7, offset: 3)], parent: [vma(1, 5, .privateFile, inode: 7)], kept: []
        ),
        PieceCase(
            testDescription: "a part of a file at the same place does",
            child: [vma(3, 5, .privateFile, inode: 7, offset: 2)], parent: [vma(1, 9, .privateFile, inode: 7)],
            kept: [[3, 5]]),
        PieceCase(
            testDescription: "what fork does not hand down", child: [vma(1, 3), vma(3, 5)],
            parent: [vma(1, 3, flags: .dontFork), vma(3, 5, flags: .wipeOnFork)], kept: []),
        PieceCase(
            testDescription: "the vDSO has rules of its own", child: [vma(1, 3, .vdso)], parent: [vma(1, 3, .vdso)],
            kept: []),
    ]

    @Test("what of a copy can stay", arguments: pieceCases)
    func pieces(_ c: PieceCase) {
        let pieces = Inheritance.pieces(c.child, over: c.parent)
        #expect(pieces.map { [$0.range.lowerBound >> 12, $0.range.upperBound >> 12] } == c.kept)
        for piece in pieces {
            #expect(c.child[piece.child].start <= piece.range.lowerBound)
            #expect(c.parent[piece.parent].end >= piece.range.upperBound)
        }
    }

    @Test("address spaces come in the order of forks, from the parent that is there")
    func order() throws {
        var contents = ImageContents()
        contents.header.root = 5
        contents.processes = [(5, 0), (6, 5), (7, 6), (8, 5)].map { pid, parent in
            var process = ProcessRecord()
            process.pid = Int32(pid)
            process.parent = Int32(parent)
            process.processGroup = 5
            process.session = 5
            process.addressSpace = UInt32(pid * 10)
            return process
        }
        let inheritance = Inheritance(contents, try RelationPlan(contents))
        #expect(Set(inheritance.order) == [50, 60, 70, 80])
        #expect(inheritance.order.first == 50)
        #expect(inheritance.sources == [60: 50, 70: 60, 80: 50])
        let lists = [60: RangeList([1..<5]), 70: RangeList([2..<3]), 80: RangeList([4..<9])] as [UInt32: RangeList]
        #expect(inheritance.filled(50, lists).ranges == [1..<9])
        #expect(inheritance.filled(60, lists).ranges == [1..<5])
        #expect(inheritance.filled(80, lists).ranges == [4..<9])
    }

    @Test("ranges: inside, outside, subtracted")
    func ranges() {
        let list = RangeList([2..<4, 4..<6, 8..<9, 20..<30])
        #expect(list.ranges == [2..<6, 8..<9, 20..<30])
        #expect(list.parts(of: 0..<25, inside: true) == [2..<6, 8..<9, 20..<25])
        #expect(list.parts(of: 0..<25, inside: false) == [0..<2, 6..<8, 9..<20])
        #expect(list.parts(of: 3..<4, inside: true) == [3..<4])
        #expect(list.parts(of: 6..<8, inside: true).isEmpty)
        #expect(list.subtracting(RangeList([3..<21, 29..<40])).ranges == [2..<3, 21..<29])
        #expect(RangeList(pairs: list.pairs) == list)
        #expect(RangeList(merging: [RangeList([5..<7]), RangeList([1..<2, 6..<9])]).ranges == [1..<2, 5..<9])
    }
}

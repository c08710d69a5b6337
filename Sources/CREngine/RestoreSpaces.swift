internal import CRImage
internal import LinuxKit

/// The address spaces of the tree: each is built when its process is there, over what that has from its parent.
final class RestoreSpaces {
    let vdso: RestoreVdso
    let pages: RestorePages
    private(set) var notes: [String] = []
    private let contents: ImageContents
    private let tree: RestoreTree
    private let files: RestoreFiles
    private let inheritance: Inheritance
    private var inherited: [UInt32: RangeList] = [:]
    private var filledLists: [UInt32: RangeList] = [:]
    private var built: [UInt32: RestoreStub] = [:]

    /// - Precondition: The root is there.
    init(_ contents: ImageContents, _ plan: RelationPlan, _ tree: RestoreTree, _ files: RestoreFiles) {
        self.contents = contents
        self.tree = tree
        self.files = files
        inheritance = Inheritance(contents, plan)
        let vdso = RestoreVdso(contents, specials: tree.specials)
        self.vdso = vdso
        pages = RestorePages(contents, tree: tree, files: files, vdso: vdso)
        for space in contents.addressSpaces where !space.inherited.isEmpty {
            inherited[space.number] = RangeList(pairs: space.inherited)
        }
    }

    /// Whether pages of the target have a place: its process is there, or it is no address space.
    func isBuilt(_ target: UInt32) -> Bool { built[target] != nil }

    /// Builds the memory of a process that was just forked.
    func build(_ stub: RestoreStub) throws(EngineError) {
        guard let record = tree.record(of: stub.tid),
            let space = tree.records.addressSpaces[record.addressSpace]
        else { throw .image("process \(stub.tid)", why: "its address space is missing") }
        if built[space.number] != nil { return }
        built[space.number] = stub
        try files.openMapped(space, by: stub)
        var memory = RestoreMemory(
            stub: stub, space: space, files: files, specials: tree.specials, movesVdso: vdso.canMove(space.number))
        let own = inherited[space.number] ?? RangeList()
        if let parent = stub.memory {
            try memory.build(over: parent, filled: filled(parent.space.number), keeping: own)
        } else if own.isEmpty {
            try memory.build()
        } else {
            throw .image("address space \(space.number)", why: "it has nobody to inherit from")
        }
        stub.memory = memory
    }

    private func filled(_ space: UInt32) -> RangeList {
        if let known = filledLists[space] { return known }
        let list = inheritance.filled(space, inherited)
        filledLists[space] = list
        return list
    }

    /// What comes when the pages are in.
    func finish(_ record: ProcessRecord) throws(EngineError) {
        try vdso.finish(record, tree)
        notes += vdso.takeNotes()
        guard let stub = tree.processes[record.pid], built[record.addressSpace] === stub else { return }
        try stub.memory?.finish()
        // Its own removed program, which is whole now.
        if let program = stub.memory?.space.executable, files.programs.contains(program) {
            try stub.memory?.setMarks()
        }
        notes += stub.memory?.notes ?? []
    }
}

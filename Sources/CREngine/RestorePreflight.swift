internal import CRImage
internal import CRModel
internal import LinuxKit

/// What is checked before anything is created.
///
/// CPU features are not compared: which of them the workload has latched into its code is not known, and most that differ
/// do not matter. Only what restore itself cannot do is refused: state that has no place here.
struct RestorePreflight {
    let contents: ImageContents
    let options: RestoreOptions
    private(set) var notes: [String] = []
    /// Files of file systems that the image brings.
    var carried: Set<FileIdentity> = []
    private var refusals: [Refusal] = []
    /// Refusals that are not forced, when all are wanted; `nil` makes the first one an error.
    private var findings: [Refusal]?

    init(_ contents: ImageContents, _ options: RestoreOptions) {
        self.contents = contents
        self.options = options
    }

    /// - Throws: `EngineError.refused` for the first check that fails and is not forced; `busy` for a PID in use.
    mutating func check() throws(EngineError) {
        representable()
        extendedState()
        kernel()
        hugePages()
        guardPages()
        externals()
        if RestoreNamespaces.rootRecord(contents, .mount) == nil { files() }
        try settle()
        if RestoreNamespaces.rootRecord(contents, .mount) == nil { try socketNames() }
        if !options.newPidNamespace, RestoreNamespaces.rootRecord(contents, .pid) == nil { try identifiers() }
    }

    /// Checks the files of a tree that brings its mounts, once those are there and the engine sees them.
    mutating func checkFilesInside() throws(EngineError) {
        if RestoreNamespaces.rootRecord(contents, .mount) == nil { return }
        files()
        try settle()
        try socketNames()
    }

    private mutating func settle() throws(EngineError) {
        for refusal in refusals {
            if options.forced.contains(refusal.reason) {
                notes.append("forced past: \(refusal.message)")
            } else if findings == nil {
                throw .refused(refusal)
            } else {
                findings?.append(refusal)
            }
        }
        refusals = []
    }

    /// Checks everything and goes on after a refusal.
    ///
    /// - Throws: What is no refusal, when there is none either.
    mutating func collect() throws(EngineError) -> [Refusal] {
        findings = []
        do throws(EngineError) {
            try check()
        } catch {
            if case .refused(let refusal) = error {
                findings?.append(refusal)
            } else if findings?.isEmpty == true {
                throw error
            }
        }
        return findings ?? []
    }

    mutating func refuse(
        _ reason: Reason, task: Int32? = nil, object: String = "", _ message: String, _ differences: [String] = []
    ) {
        refusals.append(
            Refusal(reason: reason.rawValue, task: task, object: object, message: message, differences: differences))
    }

    mutating func refuse(_ refusal: Refusal) { refusals.append(refusal) }

    /// What no restore on any host could build; `nil` for a tree that can be built.
    static func unrestorable(_ contents: ImageContents) -> Refusal? {
        var check = RestorePreflight(contents, RestoreOptions())
        check.representable()
        return check.refusals.first
    }

    private mutating func representable() {
        shared("address space", \.addressSpace)
        shared("signal actions", \.signalTable)
        for process in contents.processes where !process.isZombie {
            guard let parent = contents.processes.first(where: { $0.pid == process.parent }) else { continue }
            if parent.signalTable == process.signalTable, parent.addressSpace != process.addressSpace {
                refuse(
                    .workloadUnsupported, task: process.pid, object: "signal table \(process.signalTable)",
                    "it shares signal actions with its parent, and no memory")
            }
        }
        shared("descriptor table", \.fileTable)
        shared("folders", \.fileSystem)
        if contents.tasks.contains(where: { ($0.fileTable | $0.fileSystem) != 0 }) { sharedByThreads() }
        let leaderless = Set(contents.processes.filter(\.leaderHasEnded).map(\.pid))
        for task in contents.tasks where !leaderless.contains(task.tid) {
            guard let registers = Registers(words: task.registers), registers.is64Bit else {
                refuse(.workloadUnsupported, task: task.tid, "it runs 32-bit code")
                continue
            }
        }
    }

    /// clone3(2) can share a table only with the parent.
    private mutating func shared(_ what: String, _ table: KeyPath<ProcessRecord, UInt32>) {
        var byPid: [Int32: ProcessRecord] = [:]
        var seen: Set<UInt32> = []
        for process in contents.processes where !process.isZombie {
            byPid[process.pid] = process
            let isNew = seen.insert(process[keyPath: table]).inserted
            if !isNew, byPid[process.parent]?[keyPath: table] != process[keyPath: table] {
                refuse(
                    .workloadUnsupported, task: process.pid, object: "\(what) \(process[keyPath: table])",
                    "it shares its \(what) with a process that is not its parent")
            }
        }
    }

    /// A thread gets its tables from the one that clones it, so that both must be of the same thread.
    private mutating func sharedByThreads() {
        for process in contents.processes where !process.isZombie {
            var tables: [UInt32: UInt32] = [0: 0]
            var systems: [UInt32: UInt32] = [0: 0]
            for task in contents.tasks where task.process == process.pid && (task.fileTable | task.fileSystem) != 0 {
                let isKnown = tables[task.fileTable] != nil && systems[task.fileSystem] != nil
                if isKnown, tables[task.fileTable] != task.fileSystem, task.fileTable != 0, task.fileSystem != 0 {
                    refuse(
                        .workloadUnsupported, task: task.tid,
                        "the thread shares its descriptor table with one thread and its folders with another")
                }
                tables[task.fileTable] = tables[task.fileTable] ?? task.fileSystem
                systems[task.fileSystem] = systems[task.fileSystem] ?? task.fileTable
            }
            for task in contents.tasks where task.process != process.pid {
                guard task.fileTable != 0, tables[task.fileTable] != nil || task.fileTable == process.fileTable else {
                    continue
                }
                refuse(
                    .workloadUnsupported, task: task.tid, "the thread shares its descriptor table with another process")
            }
        }
    }

    // MARK: CPU

    /// This host's state components.
    static func destinationLayout() -> XstateTranslation.Layout {
        var layout: XstateTranslation.Layout = [:]
        let enabled = CPUID.xcr0
        for number in UInt32(2)..<63 where enabled >> UInt64(number) & 1 != 0 {
            if let place = CPUID.component(number) { layout[number] = place }
        }
        return layout
    }

    /// The source's, as it says; else those of every CPU that has been looked at.
    static func sourceLayout(_ header: ImageHeader) -> XstateTranslation.Layout {
        guard header.xstateComponents.isEmpty else {
            let components = header.xstateComponents.map { StateComponent(packed: $0) }
            return Dictionary(
                components.map { ($0.number, ($0.offset, $0.sizeBytes)) }, uniquingKeysWith: { first, _ in first })
        }
        return [
            2: (576, 256), 3: (960, 64), 4: (1024, 64), 5: (1088, 64), 6: (1152, 512), 7: (1664, 1024), 9: (2688, 8),
        ]
    }

    private mutating func extendedState() {
        let source = Self.sourceLayout(contents.header)
        let destination = Self.destinationLayout()
        var missing: [UInt32: Int32] = [:]
        var resized: [UInt32: Int32] = [:]
        for task in contents.tasks {
            for component in XstateTranslation.componentsInUse(task, layout: source) {
                if let place = destination[component] {
                    if place.sizeBytes != source[component]?.sizeBytes { resized[component] = task.tid }
                } else {
                    missing[component] = task.tid
                }
            }
        }
        if let task = missing.values.min() {
            let names = missing.keys.sorted().map { XstateTranslation.name($0) }
            refuse(
                .cpuXstateMissing, task: task,
                "the task holds register state that this CPU or kernel does not have: \(names.joined(separator: ", "))",
                names)
        }
        if let task = resized.values.min() {
            let names = resized.keys.sorted().map { XstateTranslation.name($0) }
            refuse(
                .cpuXstateSize, task: task,
                "register state has another size on this CPU: \(names.joined(separator: ", "))", names)
        }
        let end: UInt64 = 0x7fff_ffff_f000
        for space in contents.addressSpaces {
            guard let vma = space.vmas.last(where: { $0.end > end }) else { continue }
            refuse(
                .cpuAddressWidth, object: "VMA 0x\(String(vma.start, radix: 16))",
                "it lies above what four-level paging reaches")
        }
    }

    // MARK: Kernel

    private mutating func kernel() {
        if Kernel.errno(of: Kernel.attempt(.clone3, 0, 0)) == .notImplemented {
            refuse(.kernelSyscallMissing, "this kernel has no clone3, so tasks cannot get their PIDs back", ["clone3"])
        }
        let registered = contents.tasks.first { $0.rseq.address != 0 }
        if let registered, Kernel.errno(of: Kernel.attempt(.rseq, 0, 0)) == .notImplemented {
            refuse(
                .kernelSyscallMissing, task: registered.tid, "this kernel has no rseq, which the task uses", ["rseq"])
        }
        if RestoreTime.wanted(contents.header) != nil, !RestoreTime.isPossible {
            refuse(
                .kernelFeatureMissing,
                "the monotonic clock counts from elsewhere here, and this kernel has no time namespaces to go on with "
                    + "the workload's", ["time-namespace"])
        }
        let dispatched = contents.tasks.first { !$0.state.userDispatch.isEmpty }
        if let dispatched, !Self.isAtLeast(6, 4) {
            refuse(
                .kernelFeatureMissing, task: dispatched.tid,
                "system calls of the task are dispatched to itself, which can be set from 6.4 on only",
                ["syscall-user-dispatch"])
        }
        if let large = contents.tasks.first(where: { $0.rseq.sizeBytes > 32 }), !Self.isAtLeast(6, 3) {
            refuse(
                .kernelFeatureMissing, task: large.tid,
                "the task registered an rseq area of \(large.rseq.sizeBytes) bytes; kernels before 6.3 take 32 only",
                ["rseq-extensible"])
        }
    }

    /// Explicit huge pages come from a pool of fixed size, and what is missing there ends the workload at the first use.
    private mutating func hugePages() {
        var wanted: [UInt32: UInt64] = [:]
        for inode in contents.inodes where inode.hugePageShift != 0 {
            wanted[inode.hugePageShift, default: 0] += inode.sizeBytes >> UInt64(inode.hugePageShift)
        }
        for vma in contents.addressSpaces.flatMap(\.vmas)
        where vma.hugePageShift != 0 && vma.kind == .anonymous && !vma.flags.contains(.noReserve) {
            wanted[vma.hugePageShift, default: 0] += (vma.end - vma.start) >> UInt64(vma.hugePageShift)
        }
        for (shift, count) in wanted.sorted(by: { $0.key < $1.key }) {
            let size = "\((UInt64(1) << UInt64(shift)) / 1024)kB"
            let folder = "/sys/kernel/mm/hugepages/hugepages-\(size)"
            func number(_ name: String) -> UInt64 {
                (try? Files.text(of: "\(folder)/\(name)")).flatMap { UInt64($0.filter { $0 != "\n" }) } ?? 0
            }
            let free = number("free_hugepages") - min(number("free_hugepages"), number("resv_hugepages"))
            let more =
                number("nr_overcommit_hugepages") - min(number("nr_overcommit_hugepages"), number("surplus_hugepages"))
            if free + more < count {
                refuse(
                    .kernelLimit, object: "huge pages of \(size)",
                    "the workload needs \(count) of them, and \(free + more) are free here: write more to "
                        + "\(folder)/nr_hugepages", ["\(count)", "\(free + more)"])
            }
        }
    }

    private mutating func guardPages() {
        guard contents.addressSpaces.contains(where: { !$0.guards.isEmpty }) else { return }
        let page = Kernel.attempt(.mmap, 0, 4096, 0, 0x22, UInt64.max, 0)
        guard Kernel.errno(of: page) == nil else { return }
        let start = UInt64(bitPattern: page)
        // MADV_GUARD_INSTALL
        if Kernel.errno(of: Kernel.attempt(.madvise, start, 4096, 102)) != nil {
            refuse(
                .kernelFeatureMissing,
                "this kernel has no guard pages (MADV_GUARD_INSTALL, since 6.13), which the "
                    + "workload uses", ["madv-guard-install"])
        }
        _ = Kernel.attempt(.munmap, start, 4096)
    }

    private static func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        let numbers = Host.kernelName().release.split { $0 == "." || $0 == "-" }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (major, minor)
    }

    // MARK: Files

    private mutating func files() {
        // Folders of processes in mount namespaces of their own are there when those are.
        let mounts = Set(contents.namespaces.filter { $0.kind == .mount }.map(\.number))
        let root = contents.processes.first { $0.pid == contents.header.root }
        let own = Set(root?.namespaces ?? []).intersection(mounts)
        let nested = Set(
            contents.processes.filter { !Set($0.namespaces).intersection(mounts).subtracting(own).isEmpty }
                .map(\.fileSystem))
        for inode in contents.inodes where inode.mountNamespace == 0 {
            switch inode.kind {
            case .regular, .directory, .fifo, .device, .symbolicLink, .socketName:
                if inode.isRemoved, inode.otherName.isEmpty { checkAncestor(of: inode.path) } else { checkFile(inode) }
            case .deleted: checkAncestor(of: inode.path)
            case .memfd, .sharedMemory, .systemVSegment, .packetRing, .messageQueue: break
            }
        }
        for path in Set(contents.terminals.map(\.masterPath)).sorted() {
            if (try? Files.status(of: path))?.specialDevice != 5 << 32 | 2 {
                refuse(.filesystemMissing, object: path, "terminals cannot be created here", [path])
            }
        }
        socketFolders()
        for system in contents.fileSystems where !nested.contains(system.number) {
            if system.workingDirectoryFile == 0 { checkFolder(system.workingDirectory, of: "the working directory") }
            if system.root != "/" { checkFolder(system.root, of: "the root directory") }
        }
        for watch in contents.openFiles.flatMap(\.watches) where !watch.path.isEmpty {
            let status = try? Files.plainStatus(of: watch.path)
            if let status, status.mode & 0xf000 == watch.mode & 0xf000 { continue }
            refuse(
                status == nil ? .filesystemMissing : .filesystemChanged, object: watch.path,
                "inotify watches it, and it is not here", [watch.path])
        }
    }

    /// What was removed is made again for a moment; folders that are gone as well come with it.
    private mutating func checkAncestor(of path: String) {
        checkFolder(RestoreFiles.nearestFolder(above: path), of: "the deleted file \(path)")
    }

    mutating func checkFolder(_ path: String, of what: String) {
        guard let status = try? Files.plainStatus(of: path), status.kind == .directory else {
            refuse(.filesystemMissing, object: path, "the folder of \(what) is not here", [path])
            return
        }
    }

    private mutating func checkFile(_ inode: InodeRecord) {
        let path = inode.otherName.isEmpty ? inode.path : inode.otherName
        let status: FileStatus
        do {
            status = try Files.plainStatus(of: path)
        } catch {
            refuse(
                .filesystemMissing, object: path,
                "the workload uses a file that is not here (\(error.errno.map { "\($0)" } ?? ""))", [path])
            return
        }
        // Its content comes with the image, and is not in it yet.
        if carried.contains(status.identity) { return }
        guard status.mode & 0xf000 == inode.mode & 0xf000 else {
            refuse(.filesystemChanged, object: path, "another kind of file stands at its path", [path])
            return
        }
        if inode.kind == .device, status.specialDevice != inode.device {
            refuse(.filesystemChanged, object: path, "another device stands at its path", [path])
        }
        guard inode.kind == .regular else { return }
        if inode.isWritten {
            if status.sizeBytes < inode.sizeBytes {
                refuse(
                    .filesystemChanged, object: path,
                    "it has \(status.sizeBytes) bytes and had \(inode.sizeBytes) at the dump", [path])
            }
            return
        }
        // Time stamps are not compared: copies of one userland differ in them and in nothing else.
        if !inode.buildID.isEmpty {
            let found = Self.buildID(path)
            if found != inode.buildID {
                refuse(
                    .filesystemChanged, object: path, "it is another build of this program or library",
                    [path, "build-id \(Self.text(inode.buildID)) became \(Self.text(found))"])
            }
        } else if status.sizeBytes != inode.sizeBytes {
            refuse(
                .filesystemChanged, object: path,
                "it has \(status.sizeBytes) bytes and had \(inode.sizeBytes) at the dump", [path])
        }
    }

    static func buildID(_ path: String) -> [UInt8] {
        guard let fd = try? Files.openPlain(path, rawFlags: 0) else { return [] }
        defer { Files.close(fd) }
        guard let start = try? Files.prefix(of: fd, count: 8192), let file = try? ELFFile(start),
            let text = file.buildID
        else { return [] }
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
    }

    private static func text(_ buildID: [UInt8]) -> String {
        buildID.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    // MARK: PIDs

    private func identifiers() throws(EngineError) {
        let wanted = contents.processes.map(\.pid) + contents.tasks.map(\.tid)
        // Whoever adopted the zombies of the dump may need a moment to reap them.
        let patience = Deadline(seconds: 2)
        for tid in wanted {
            // Signal 0 only asks; a thread's TID answers too.
            while Kernel.errno(of: Kernel.attempt(.kill, RestoreStub.word(tid), 0)) != .noProcess {
                if patience.remainingNanoseconds > 0, let stat = try? Procfs.stat(tid), "ZX".contains(stat.state) {
                    _ = Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: 2_000_000)
                    continue
                }
                throw .busy(
                    "PID \(tid) is in use", task: tid, next: "end what uses it, or restore with --new-pid-namespace")
            }
        }
    }
}

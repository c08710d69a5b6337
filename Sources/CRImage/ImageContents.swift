/// All records of an image, by what they describe.
public struct ImageContents: Sendable, Hashable {
    public var header = ImageHeader()
    /// Parents before their children.
    public var processes: [ProcessRecord] = []
    /// The first task of a process before its others.
    public var tasks: [TaskRecord] = []
    public var addressSpaces: [AddressSpaceRecord] = []
    public var inodes: [InodeRecord] = []
    public var openFiles: [OpenFileRecord] = []
    public var pipes: [PipeRecord] = []
    public var fileTables: [FileTableRecord] = []
    public var fileSystems: [FileSystemRecord] = []
    public var signalTables: [SignalTableRecord] = []
    public var fileLocks: [FileLockRecord] = []
    public var seccompFilters: [SeccompFilterRecord] = []
    public var sockets: [SocketRecord] = []
    public var systemV: [SystemVRecord] = []
    public var unixSockets: [UnixSocketRecord] = []
    public var netlinkSockets: [NetlinkSocketRecord] = []
    public var packetSockets: [PacketSocketRecord] = []

    public var terminals: [TerminalRecord] = []
    /// Namespaces to create; owners and parents before what they own.
    public var namespaces: [NamespaceRecord] = []
    public var cgroups: [CgroupRecord] = []
    public var inetSockets: [InetSocketRecord] = []

    public init() {}

    /// Adds one record at the end of its list.
    public mutating func add(_ record: ImageRecord) {
        switch record {
        case .header(let value): header = value
        case .process(let value): processes.append(value)
        case .task(let value): tasks.append(value)
        case .addressSpace(let value): addressSpaces.append(value)
        case .inode(let value): inodes.append(value)
        case .openFile(let value): openFiles.append(value)
        case .pipe(let value): pipes.append(value)
        case .fileTable(let value): fileTables.append(value)
        case .fileSystem(let value): fileSystems.append(value)
        case .signalTable(let value): signalTables.append(value)
        case .fileLock(let value): fileLocks.append(value)
        case .seccompFilter(let value): seccompFilters.append(value)
        case .terminal(let value): terminals.append(value)
        case .socket(let value): sockets.append(value)
        case .systemV(let value): systemV.append(value)
        case .unixSocket(let value): unixSockets.append(value)
        case .namespace(let value): namespaces.append(value)
        case .cgroup(let value): cgroups.append(value)
        case .netlinkSocket(let value): netlinkSockets.append(value)
        case .packetSocket(let value): packetSockets.append(value)
        case .inetSocket(let value): inetSockets.append(value)
        }
    }

    /// All records in the order in which they are written.
    public var records: [ImageRecord] {
        var records: [ImageRecord] = [.header(header)]
        records += processes.map { .process($0) }
        records += tasks.map { .task($0) }
        records += addressSpaces.map { .addressSpace($0) }
        records += inodes.map { .inode($0) }
        records += openFiles.map { .openFile($0) }
        records += pipes.map { .pipe($0) }
        records += fileTables.map { .fileTable($0) }
        records += fileSystems.map { .fileSystem($0) }
        records += signalTables.map { .signalTable($0) }
        records += fileLocks.map { .fileLock($0) }
        records += seccompFilters.map { .seccompFilter($0) }
        records += terminals.map { .terminal($0) }
        records += sockets.map { .socket($0) }
        records += systemV.map { .systemV($0) }
        records += unixSockets.map { .unixSocket($0) }
        records += namespaces.map { .namespace($0) }
        records += cgroups.map { .cgroup($0) }
        records += netlinkSockets.map { .netlinkSocket($0) }
        records += packetSockets.map { .packetSocket($0) }
        records += inetSockets.map { .inetSocket($0) }
        return records
    }

    /// The tasks of one process, the first task first.
    public func tasks(of process: Int32) -> [TaskRecord] { tasks.filter { $0.process == process } }

    /// Where each address space and each inode with content can have pages.
    func pageSpans() -> [UInt32: [Range<UInt64>]] {
        var spans: [UInt32: [Range<UInt64>]] = [:]
        for space in addressSpaces {
            var ranges: [Range<UInt64>] = []
            for vma in space.vmas where vma.kind == .anonymous || vma.kind == .privateFile || vma.kind == .vdso {
                // Neighbours become one range, so that a run may cross the border between them.
                if let last = ranges.last, last.upperBound == vma.start {
                    ranges[ranges.count - 1] = last.lowerBound..<vma.end
                } else {
                    ranges.append(vma.start..<vma.end)
                }
            }
            spans[space.number] = ranges
        }
        let page = UInt64(ImageFormat.pageBytes)
        for inode in inodes where inode.kind.hasContent {
            let (rounded, overflow) = inode.sizeBytes.addingReportingOverflow(page - 1)
            if !overflow { spans[inode.number] = [0..<(rounded / page * page)] }
        }
        for entry in fileEntries where entry.number != 0 {
            let (rounded, overflow) = entry.sizeBytes.addingReportingOverflow(page - 1)
            if !overflow { spans[entry.number] = [0..<(rounded / page * page)] }
        }
        return spans
    }

    /// What the image carries of file systems in memory.
    public var fileEntries: [FileEntryValue] { namespaces.flatMap { $0.fileSystems.flatMap(\.entries) } }

    /// Whether one of the ascending `ranges` holds all of `wanted`.
    static func covers(_ ranges: [Range<UInt64>], _ wanted: Range<UInt64>) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= wanted.lowerBound { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= wanted.lowerBound
            && ranges[low].upperBound >= wanted.upperBound
    }
}

extension InodeKind {
    /// Whether the image itself holds the inode's content, in page runs.
    public var hasContent: Bool {
        self == .deleted || self == .memfd || self == .sharedMemory || self == .systemVSegment
    }
}

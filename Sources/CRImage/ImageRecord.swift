public import CRModel

/// One record of the metadata section.
public enum ImageRecord: Sendable, Hashable {
    case header(ImageHeader)
    case process(ProcessRecord)
    case task(TaskRecord)
    case addressSpace(AddressSpaceRecord)
    case inode(InodeRecord)
    case openFile(OpenFileRecord)
    case pipe(PipeRecord)
    case fileTable(FileTableRecord)
    case fileSystem(FileSystemRecord)
    case signalTable(SignalTableRecord)
    case fileLock(FileLockRecord)
    case seccompFilter(SeccompFilterRecord)
    case terminal(TerminalRecord)
    case socket(SocketRecord)
    case systemV(SystemVRecord)
    case unixSocket(UnixSocketRecord)
    case namespace(NamespaceRecord)
    case cgroup(CgroupRecord)
    case netlinkSocket(NetlinkSocketRecord)
    case packetSocket(PacketSocketRecord)
    case inetSocket(InetSocketRecord)

    /// What a block holds, as its header says it.
    enum Tag: UInt32, CaseIterable {
        case header = 1
        case process, task, addressSpace, inode, openFile, pipe, fileTable, fileSystem, signalTable
        case socket = 11
        case systemV = 20
        case fileLock = 30
        case seccompFilter = 40
        case terminal = 26
        case unixSocket = 12
        case namespace = 44
        case cgroup = 45
        case netlinkSocket = 14
        case packetSocket = 15
        case inetSocket = 13
        case metadataEnd = 64
        case pages = 65
        case trailer = 66
    }

    var tag: Tag {
        switch self {
        case .header: .header
        case .process: .process
        case .task: .task
        case .addressSpace: .addressSpace
        case .inode: .inode
        case .openFile: .openFile
        case .pipe: .pipe
        case .fileTable: .fileTable
        case .fileSystem: .fileSystem
        case .signalTable: .signalTable
        case .fileLock: .fileLock
        case .seccompFilter: .seccompFilter
        case .terminal: .terminal
        case .socket: .socket
        case .systemV: .systemV
        case .unixSocket: .unixSocket
        case .namespace: .namespace
        case .cgroup: .cgroup
        case .netlinkSocket: .netlinkSocket
        case .packetSocket: .packetSocket
        case .inetSocket: .inetSocket
        }
    }

    /// Hands the record's fields to `fields`.
    private func transferred(_ fields: inout some RecordFields) throws(ImageError) {
        func pass(_ value: some ImageValue, _ fields: inout some RecordFields) throws(ImageError) {
            var copy = value
            try copy.transfer(&fields)
        }
        switch self {
        case .header(let value): try pass(value, &fields)
        case .process(let value): try pass(value, &fields)
        case .task(let value): try pass(value, &fields)
        case .addressSpace(let value): try pass(value, &fields)
        case .inode(let value): try pass(value, &fields)
        case .openFile(let value): try pass(value, &fields)
        case .pipe(let value): try pass(value, &fields)
        case .fileTable(let value): try pass(value, &fields)
        case .fileSystem(let value): try pass(value, &fields)
        case .signalTable(let value): try pass(value, &fields)
        case .fileLock(let value): try pass(value, &fields)
        case .seccompFilter(let value): try pass(value, &fields)
        case .terminal(let value): try pass(value, &fields)
        case .socket(let value): try pass(value, &fields)
        case .systemV(let value): try pass(value, &fields)
        case .unixSocket(let value): try pass(value, &fields)
        case .namespace(let value): try pass(value, &fields)
        case .cgroup(let value): try pass(value, &fields)
        case .netlinkSocket(let value): try pass(value, &fields)
        case .packetSocket(let value): try pass(value, &fields)
        case .inetSocket(let value): try pass(value, &fields)
        }
    }

    /// The record's bytes, without a block header.
    func encoded() throws(ImageError) -> [UInt8] {
        var writer = FieldWriter()
        try transferred(&writer)
        return writer.output
    }

    /// The record as JSON, with its type under `record`.
    public func described() -> JSONValue {
        var describer = FieldDescriber()
        // The describer accepts every value that a record can hold.
        try? transferred(&describer)
        var members = describer.members
        members["record"] = .string("\(tag)")
        return .object(members)
    }

    /// Reads the bytes of one record.
    ///
    /// - Returns: `nil` when the tag is not a record's.
    static func decode(_ tag: Tag, _ bytes: [UInt8]) throws(ImageError) -> ImageRecord? {
        func value<Value: ImageValue>(_ type: Value.Type) throws(ImageError) -> Value {
            var reader = FieldReader(bytes, record: "\(tag)")
            var value = Value()
            try value.transfer(&reader)
            try reader.end()
            return value
        }
        switch tag {
        case .header: return .header(try value(ImageHeader.self))
        case .process: return .process(try value(ProcessRecord.self))
        case .task: return .task(try value(TaskRecord.self))
        case .addressSpace: return .addressSpace(try value(AddressSpaceRecord.self))
        case .inode: return .inode(try value(InodeRecord.self))
        case .openFile: return .openFile(try value(OpenFileRecord.self))
        case .pipe: return .pipe(try value(PipeRecord.self))
        case .fileTable: return .fileTable(try value(FileTableRecord.self))
        case .fileSystem: return .fileSystem(try value(FileSystemRecord.self))
        case .signalTable: return .signalTable(try value(SignalTableRecord.self))
        case .fileLock: return .fileLock(try value(FileLockRecord.self))
        case .seccompFilter: return .seccompFilter(try value(SeccompFilterRecord.self))
        case .terminal: return .terminal(try value(TerminalRecord.self))
        case .socket: return .socket(try value(SocketRecord.self))
        case .systemV: return .systemV(try value(SystemVRecord.self))
        case .unixSocket: return .unixSocket(try value(UnixSocketRecord.self))
        case .namespace: return .namespace(try value(NamespaceRecord.self))
        case .cgroup: return .cgroup(try value(CgroupRecord.self))
        case .netlinkSocket: return .netlinkSocket(try value(NetlinkSocketRecord.self))
        case .packetSocket: return .packetSocket(try value(PacketSocketRecord.self))
        case .inetSocket: return .inetSocket(try value(InetSocketRecord.self))
        case .metadataEnd, .pages, .trailer: return nil
        }
    }
}

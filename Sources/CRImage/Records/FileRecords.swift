/// What an inode is.
public enum InodeKind: UInt32, Sendable, Hashable {
    /// A regular file that the destination must have at the same path.
    case regular = 1
    case directory = 2
    /// A named pipe in the file system; its content is in a ``PipeRecord``.
    case fifo = 3
    /// A character device, opened by its path: `/dev/null`.
    case device = 4
    /// A regular file without a name any more; its content is in page runs whose target is its number.
    case deleted = 5
    /// memfd_create(2); content in page runs.
    case memfd = 6
    /// Shared anonymous memory (`/dev/zero (deleted)`); content in page runs.
    case sharedMemory = 7
    /// The memory of a System V segment; content in page runs.
    case systemVSegment = 16
    /// The rings of an AF_PACKET socket, mapped; `device` is the number of its ``SocketRecord``.
    case packetRing = 17
    /// A symbolic link itself, open with O_PATH.
    case symbolicLink = 20
    /// A socket's name, open with O_PATH.
    case socketName = 21
    /// A POSIX message queue.
    case messageQueue = 22
}

/// Something that can be opened or mapped.
public struct InodeRecord: ImageValue {
    public var number: UInt32 = 0
    public var kind = InodeKind.regular
    /// Absolute path seen by the workload; for `deleted` where it was; for `memfd` its name.
    public var path = ""
    public var sizeBytes: UInt64 = 0
    /// Type and permission bits.
    public var mode: UInt32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    public var modifiedNanoseconds: Int64 = 0
    /// Of a device node, `major << 32 | minor`.
    public var device: UInt64 = 0
    /// Build ID of an ELF file; empty when it has none or is no ELF file.
    public var buildID: [UInt8] = []
    /// F_GET_SEALS of a memfd.
    public var seals: UInt32 = 0
    /// Of a memfd or shared memory: binary logarithm of the size of its huge pages; 0 for ordinary pages.
    public var hugePageShift: UInt32 = 0
    /// Whether the workload can change the file (open for writing, or mapped shared and writable): then size and time
    /// may go on changing between dump and restore, and only a smaller size is a difference.
    public var isWritten = false
    public var accessedNanoseconds: Int64 = 0
    /// Whether the name in `path` was removed: restore makes it for as long as it opens the inode. Never for inodes with
    /// content of their own.
    public var isRemoved = false
    /// Another name of an inode whose own one was removed; empty when it has none.
    public var otherName = ""
    /// Whether the dump made that other name, so that the restore removes it.
    public var isOtherNameOurs = false
    /// Where a symbolic link leads.
    public var target = ""
    /// Of a message queue, one element.
    public var queue: [MessageQueueValue] = []
    /// Number of the ``NamespaceRecord`` whose mounts show it at its path; 0 when those of the root process do.
    public var mountNamespace: UInt32 = 0
    /// Extended attributes of a nameless inode.
    public var attributes: [FileAttributeValue] = []
    /// Whether a `deleted` file was made without a name (O_TMPFILE), so that it may still get one.
    public var isLinkable = false

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.choice("kind", &kind)
        try fields.text("path", &path)
        try fields.number("sizeBytes", &sizeBytes)
        try fields.number("mode", &mode)
        try fields.number("uid", &uid)
        try fields.number("gid", &gid)
        try fields.number("modifiedNanoseconds", &modifiedNanoseconds)
        try fields.hex("device", &device)
        try fields.bytes("buildID", &buildID)
        try fields.number("seals", &seals)
        try fields.number("hugePageShift", &hugePageShift)
        try fields.flag("isWritten", &isWritten)
        try fields.number("accessedNanoseconds", &accessedNanoseconds)
        try fields.flag("isRemoved", &isRemoved)
        try fields.text("otherName", &otherName)
        try fields.flag("isOtherNameOurs", &isOtherNameOurs)
        try fields.text("target", &target)
        try fields.list("queue", &queue)
        try fields.number("mountNamespace", &mountNamespace)
        try fields.list("attributes", &attributes)
        try fields.flag("isLinkable", &isLinkable)
    }
}

/// What an open file description is.
public enum OpenFileKind: UInt32, Sendable, Hashable {
    /// Of an ``InodeRecord`` (regular, directory, device, deleted, memfd).
    case inode = 1
    /// An end of an anonymous pipe.
    case pipe = 2
    /// An end of a named pipe.
    case fifo = 3
    case eventfd = 4
    case epoll = 5
    case timerfd = 6
    case signalfd = 7
    case inotify = 20
    case pidfd = 21
    /// A file or folder below `/proc/PID`.
    case taskFile = 22
    /// A namespace, `/proc/PID/ns/…`.
    case namespace = 23
    /// The master of a ``TerminalRecord``.
    case terminalMaster = 30
    /// The slave of a ``TerminalRecord``, opened by any of its names or as `/dev/tty`.
    case terminalSlave = 31
    /// A ``SocketRecord``.
    case socket = 8
    /// Something outside the tree: the restore is told what stands for it.
    case external = 40
}

/// One open file description. Descriptors of several tables may refer to it.
public struct OpenFileRecord: ImageValue {
    public var number: UInt32 = 0
    public var kind = OpenFileKind.inode
    /// Number of the ``InodeRecord`` (`inode`, `fifo`); 0 for the other kinds.
    public var inode: UInt32 = 0
    /// Number of the ``PipeRecord`` (`pipe`, `fifo`); 0 for the other kinds.
    public var pipe: UInt32 = 0
    /// Number of the ``SocketRecord`` (`socket`); 0 for the other kinds.
    public var socket: UInt32 = 0
    /// As fcntl(F_GETFL) gives them: access mode and status flags, never O_CLOEXEC.
    public var flags: UInt32 = 0
    /// Where it reads or writes next.
    public var offset: UInt64 = 0
    /// F_GETOWN_EX: F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2; meaningful when `ownerID` is not 0.
    public var ownerKind: UInt32 = 0
    public var ownerID: Int32 = 0
    /// F_GETSIG.
    public var ownerSignal: Int32 = 0
    /// User and effective user ID of whoever set the owner; they decide whom its signals reach.
    public var ownerUser: UInt32 = 0
    public var ownerEffectiveUser: UInt32 = 0
    /// Of an eventfd.
    public var eventCount: UInt64 = 0
    public var eventIsSemaphore = false
    /// Of an epoll instance, in the order in which they were added as far as the kernel shows it.
    public var epollTargets: [EpollTargetValue] = []
    /// How an epoll instance polls network devices: `struct epoll_params`; 0 for the default.
    public var epollPolling: UInt64 = 0
    /// Of a timerfd.
    public var timer = TimerfdValue()
    /// Of a signalfd.
    public var signalMask: UInt64 = 0
    /// Of an inotify instance, ascending by watch descriptor.
    public var watches: [InotifyWatchValue] = []
    /// Of a pidfd, a task's file and a namespace.
    public var handle = TaskHandleValue()
    /// Number of the ``TerminalRecord`` (`terminalMaster`, `terminalSlave`); 0 for the other kinds.
    public var terminal: UInt32 = 0
    /// The path by which that was opened; empty for the other kinds.
    public var terminalPath = ""
    /// Number of the ``NamespaceRecord`` in whose mounts it was opened; 0 for those of the root process.
    public var mountNamespace: UInt32 = 0
    /// The name under which `--external` declared it (`external`); empty for the other kinds.
    public var externalName = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.choice("kind", &kind)
        try fields.number("inode", &inode)
        try fields.number("pipe", &pipe)
        try fields.number("socket", &socket)
        try fields.number("openFlags", &flags)
        try fields.number("offset", &offset)
        try fields.number("ownerKind", &ownerKind)
        try fields.number("ownerID", &ownerID)
        try fields.number("ownerSignal", &ownerSignal)
        try fields.number("ownerUser", &ownerUser)
        try fields.number("ownerEffectiveUser", &ownerEffectiveUser)
        try fields.number("eventCount", &eventCount)
        try fields.flag("eventIsSemaphore", &eventIsSemaphore)
        try fields.list("epollTargets", &epollTargets)
        try fields.hex("epollPolling", &epollPolling)
        try timer.transfer(&fields)
        try fields.hex("signalMask", &signalMask)
        try fields.list("watches", &watches)
        try handle.transfer(&fields)
        try fields.number("terminal", &terminal)
        try fields.text("terminalPath", &terminalPath)
        try fields.number("mountNamespace", &mountNamespace)
        try fields.text("externalName", &externalName)
    }
}

/// One descriptor that an epoll instance watches.
public struct EpollTargetValue: ImageValue {
    /// The descriptor's number when it was added.
    public var fd: Int32 = 0
    public var events: UInt32 = 0
    public var data: UInt64 = 0
    /// Number of the ``OpenFileRecord`` that it watches; the descriptor itself may be closed.
    public var openFile: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("fd", &fd)
        try fields.number("events", &events)
        try fields.hex("data", &data)
        try fields.number("openFile", &openFile)
    }
}

/// A timerfd's clock and setting.
public struct TimerfdValue: ImageValue {
    public var clock: Int32 = 0
    /// Expirations that nobody has read.
    public var ticks: UInt64 = 0
    /// TFD_TIMER_ABSTIME 1, TFD_TIMER_CANCEL_ON_SET 2.
    public var settimeFlags: UInt32 = 0
    /// Time to the next expiry; 0 when disarmed.
    public var valueNanoseconds: UInt64 = 0
    public var intervalNanoseconds: UInt64 = 0
    /// Next expiry on its clock, for a clock of the wall that was told an absolute time; 0 otherwise.
    public var absoluteNanoseconds: UInt64 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("timerClock", &clock)
        try fields.number("timerTicks", &ticks)
        try fields.number("timerFlags", &settimeFlags)
        try fields.number("timerValueNanoseconds", &valueNanoseconds)
        try fields.number("timerIntervalNanoseconds", &intervalNanoseconds)
        try fields.number("timerAbsoluteNanoseconds", &absoluteNanoseconds)
    }
}

/// The buffer of a pipe or FIFO.
public struct PipeRecord: ImageValue {
    public var number: UInt32 = 0
    /// F_GETPIPE_SZ.
    public var capacityBytes: UInt32 = 65536
    public var content: [UInt8] = []
    /// Lengths of the packets in `content` of a pipe in packet mode (O_DIRECT); empty for a stream.
    public var packets: [UInt64] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.number("capacityBytes", &capacityBytes)
        try fields.bytes("content", &content)
        try fields.words("packets", &packets)
    }
}

internal import CRImage
internal import LinuxKit

/// The sockets of the image: made by the engine, inherited by the stubs.
///
/// Three steps: ``open(_:)`` before any task exists; ``connect(_:_:firstNumber:)`` when the root's stub exists;
/// ``finish(_:outer:)`` when all tasks exist and none runs.
final class RestoreSockets {
    /// Number of a ``SocketRecord`` to the engine's descriptor, which lies above every number that the workload uses.
    var descriptors: [UInt32: Int32] = [:]
    private(set) var notes: [String] = []
    /// Peers outside the tree, by the number of the ``SocketRecord`` to connect.
    var outside: [UInt32: Externals.Peer] = [:]
    private var unix: RestoreUnixSockets?
    let contents: ImageContents
    let records: [UInt32: SocketRecord]
    let inet: RestoreInet

    init(_ contents: ImageContents, tcp: TCPConnections = .keep) {
        self.contents = contents
        inet = RestoreInet(contents, tcp)
        records = Dictionary(contents.sockets.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Creates what needs no task.
    ///
    /// - Parameter lift: Moves a new descriptor above the workload's and keeps it until the restore ends.
    func open(_ lift: (Int32, String) throws(LinuxError) -> Int32) throws(EngineError) {
        try inet.lock()
        for record in contents.sockets {
            let fd: Int32
            switch record.domain {
            case 1: continue
            case 16: fd = try openNetlink(record)
            case 17: fd = try openPacket(record)
            case 2, 10: fd = try inet.open(record)
            default: throw .image(describe(record), why: "sockets of its family cannot be restored")
            }
            descriptors[record.number] = try EngineError.wrap("keep \(describe(record))") { () throws(LinuxError) in
                try lift(fd, describe(record))
            }
        }
    }

    /// Makes what only a task can make: UNIX sockets, which remember who made them.
    ///
    /// - Returns: The descriptors that the engine now has, all from `firstNumber` on.
    func connect(
        _ root: RestoreStub, _ tree: RestoreTree, firstNumber: Int32
    ) throws(EngineError) -> [Int32] {
        guard !contents.unixSockets.isEmpty else { return [] }
        let unix = try RestoreUnixSockets(contents, root: root, tree: tree, firstNumber: firstNumber)
        self.unix = unix
        unix.outside = outside
        let fetched = try unix.build()
        descriptors.merge(unix.descriptors) { _, new in new }
        return fetched
    }

    /// Removes files that were only for the restore; after ``finish(_:outer:)`` there are none.
    func close() { unix?.names.clean() }

    /// Fills queues, then gives every socket its options and its owner.
    ///
    /// - Precondition: All tasks exist, and none runs.
    func finish(_ openFiles: [UInt32: Int32], outer: (Int32) -> Int32) throws(EngineError) {
        if let unix {
            try unix.fill(openFiles, outer: outer)
            notes += unix.notes
        }
        for record in contents.sockets {
            guard let fd = descriptors[record.number] else { continue }
            setOwner(record, fd)
            SocketOptions.apply(record.options, to: fd, object: describe(record), notes: &notes)
        }
    }

    /// The owner counts for firewalls and shows in lists of sockets.
    private func setOwner(_ record: SocketRecord, _ fd: Int32) {
        do throws(LinuxError) {
            let now = try Files.status(of: fd)
            if now.uid != record.uid || now.gid != record.gid {
                try RestoreCalls.changeOwner(fd, record.uid, record.gid)
            }
            if now.mode & 0o7777 != record.mode & 0o7777 { try RestoreCalls.changeMode(fd, record.mode) }
        } catch {
            notes.append("owner and mode of \(describe(record)) could not be set")
        }
    }

    func note(_ text: String) { notes.append(text) }

    func describe(_ record: SocketRecord) -> String { "socket \(record.number)" }
}

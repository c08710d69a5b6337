internal import CRImage
internal import LinuxKit

/// A socket of the tree, as the dump knows it.
struct KnownSocket {
    /// Number of its ``SocketRecord``.
    var number: UInt32
    /// Who has it open, for refusals: a process (the engine itself for one that is on its way in a message) and its fd.
    var process: Int32
    var fd: Int32
    /// The engine's own duplicate; closed by `DumpCollector.close()`.
    var copy: Int32
    var object: String
}

/// Sockets of all families: what they have in common, and the way to the rest.
extension DumpCollector {
    /// Records a socket that is met for the first time. Two open files are never the same socket.
    ///
    /// - Parameter copy: The engine's own duplicate of the descriptor; it stays open until the dump ends.
    /// - Returns: Number of the ``SocketRecord``.
    func socket(
        _ status: FileStatus, process: Int32, fd: Int32, copy: Int32, object: String
    ) throws(EngineError) -> UInt32 {
        let domain: Int32
        let type: Int32
        let number: Int32
        (domain, type, number) = try EngineError.wrap("ask for the family of \(object)", task: process) {
            () throws(LinuxError) in
            // SO_DOMAIN, SO_TYPE, SO_PROTOCOL
            (
                try SocketCalls.number(copy, 1, 39), try SocketCalls.number(copy, 1, 3),
                try SocketCalls.number(copy, 1, 38)
            )
        }
        var record = SocketRecord()
        record.number = newNumber()
        record.domain = UInt32(bitPattern: domain)
        record.type = UInt32(bitPattern: type)
        record.protocolNumber = number
        let inode = try EngineError.wrap("look at \(object)", task: process) { () throws(LinuxError) in
            try Files.status(of: copy)
        }
        (record.mode, record.uid, record.gid) = (inode.mode, inode.uid, inode.gid)
        do throws(LinuxError) {
            record.options = try SocketOptions.read(copy)
        } catch {
            if error.errno == .access { throw refuse(process, object, "its socket filter is an eBPF program") }
            throw .system(error, task: process, doing: "read the options of \(object)")
        }
        let known = KnownSocket(number: record.number, process: process, fd: fd, copy: copy, object: object)
        sockets[status.inode] = known
        contents.sockets.append(record)
        switch record.domain {
        case 1: collectUnixSocket(known, record, inode: status.inode)
        case 2, 10: try collectInetSocket(known, record, inode: status.inode)
        case 16: try collectNetlinkSocket(known, record)
        case 17: try collectPacketSocket(known, record, inode: status.inode)
        default:
            throw refuse(
                process, object,
                "sockets of family \(Self.families[record.domain] ?? "\(record.domain)") are not carried")
        }
        return record.number
    }

    /// `linux/socket.h`
    private static let families: [UInt32: String] = [
        3: "AF_AX25", 4: "AF_IPX", 5: "AF_APPLETALK", 9: "AF_X25", 15: "AF_KEY", 21: "AF_RDS", 24: "AF_PPPOX",
        29: "AF_CAN", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 38: "AF_ALG", 39: "AF_NFC", 40: "AF_VSOCK", 41: "AF_KCM",
        42: "AF_QIPCRTR", 43: "AF_SMC", 44: "AF_XDP", 45: "AF_MCTP",
    ]
}

/// `/proc` of a live task, read and parsed.
public enum Procfs {
    /// `/proc/TID/status`.
    public static func status(_ task: Int32) throws(LinuxError) -> TaskStatus {
        let path = "/proc/\(task)/status"
        return try ProcParser.status(Files.record(at: path), file: path)
    }

    /// `/proc/PID/task/TID/status`, which says the same.
    public static func status(_ task: Int32, in process: Int32) throws(LinuxError) -> TaskStatus {
        let path = "/proc/\(process)/task/\(task)/status"
        return try ProcParser.status(Files.record(at: path), file: path)
    }

    /// `/proc/TID/stat`, which exists for threads too, though listings hide them.
    public static func stat(_ task: Int32) throws(LinuxError) -> TaskStat {
        let path = "/proc/\(task)/stat"
        return try ProcParser.stat(Files.record(at: path), file: path)
    }

    /// `/proc/PID/task/TID/stat`, which does not add up the times of all threads as `/proc/TID/stat` does.
    public static func stat(_ task: Int32, in process: Int32) throws(LinuxError) -> TaskStat {
        let path = "/proc/\(process)/task/\(task)/stat"
        return try ProcParser.stat(Files.record(at: path), file: path)
    }

    /// `/proc/PID/smaps`: all mappings with their flags.
    public static func mappings(_ process: Int32) throws(LinuxError) -> [Mapping] {
        let path = "/proc/\(process)/smaps"
        return try ProcParser.mappings(Files.contents(of: path), file: path)
    }

    /// `/proc/PID/clear_refs`: takes all pages of a process for unused, until they are used again.
    public static func forgetReferences(of process: Int32) throws(LinuxError) {
        try Files.write(Array("1".utf8), toExisting: "/proc/\(process)/clear_refs")
    }

    /// `/proc/PID/maps`: all mappings, without flags; ten times cheaper than smaps for large processes.
    public static func mappingsWithoutFlags(_ process: Int32) throws(LinuxError) -> [Mapping] {
        let path = "/proc/\(process)/maps"
        return try ProcParser.mappings(Files.contents(of: path), file: path)
    }

    /// The TIDs of a process, ascending.
    public static func tasks(of process: Int32) throws(LinuxError) -> [Int32] {
        try Files.names(in: "/proc/\(process)/task").compactMap { Int32($0) }.sorted()
    }

    /// Children of one task (of this thread of the parent, not of the whole process).
    public static func children(of task: Int32, in process: Int32) throws(LinuxError) -> [Int32] {
        let bytes = try Files.contents(of: "/proc/\(process)/task/\(task)/children")
        // Most have none.
        return bytes.isEmpty ? [] : ProcParser.numbers(String(decoding: bytes, as: UTF8.self))
    }

    /// Open descriptors, ascending.
    public static func descriptors(of process: Int32) throws(LinuxError) -> [Int32] {
        try Files.names(in: "/proc/\(process)/fd").compactMap { Int32($0) }.sorted()
    }

    /// What a descriptor is open on: a path, `pipe:[17]`, `anon_inode:[eventfd]`.
    public static func descriptorLink(_ process: Int32, _ fd: Int32) throws(LinuxError) -> String {
        try Files.link("/proc/\(process)/fd/\(fd)")
    }

    /// `/proc/PID/fdinfo/N`.
    public static func descriptorInfo(_ process: Int32, _ fd: Int32) throws(LinuxError) -> DescriptorInfo {
        let path = "/proc/\(process)/fdinfo/\(fd)"
        return try ProcParser.descriptorInfo(Files.record(at: path), file: path)
    }

    /// `/proc/PID/mountinfo`.
    public static func mounts(_ process: Int32) throws(LinuxError) -> [MountEntry] {
        let path = "/proc/\(process)/mountinfo"
        return try ProcParser.mounts(Files.text(of: path), file: path)
    }

    /// The mounts that the engine sees, wherever it is.
    public static func ownMounts() throws(LinuxError) -> [MountEntry] {
        try ProcParser.mounts(Files.text(of: "/proc/self/mountinfo"))
    }

    /// `/proc/PID/timers`; empty when the kernel lacks the file.
    public static func timers(_ process: Int32) throws(LinuxError) -> [PosixTimer] {
        let path = "/proc/\(process)/timers"
        do {
            return try ProcParser.timers(Files.text(of: path), file: path)
        } catch {
            if error.errno == .noEntry { return [] }
            throw error
        }
    }

    /// `/proc/PID/auxv`.
    public static func auxiliaryVector(_ process: Int32) throws(LinuxError) -> [UInt64: UInt64] {
        ProcParser.auxiliaryVector(try Files.contents(of: "/proc/\(process)/auxv"))
    }
}

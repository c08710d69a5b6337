/// Error numbers as programs print them.
enum Errno {
    static func isNoSpace(_ line: String) -> Bool { line.holds("No space left on device") || line.holds("ENOSPC") }
    static func isReadOnly(_ line: String) -> Bool { line.holds("Read-only file system") || line.holds("EROFS") }
    static func isNoSystemCall(_ line: String) -> Bool {
        line.holds("Function not implemented") || line.holds("ENOSYS")
    }
    static func isNoFile(_ line: String) -> Bool { line.holds("No such file or directory") || line.holds("ENOENT") }
    static func isNoFilesLeft(_ line: String) -> Bool {
        line.holds("Too many open files in system") || line.holds("ENFILE")
    }
    static func isTooManyFiles(_ line: String) -> Bool {
        !isNoFilesLeft(line) && (line.holds("Too many open files") || line.holds("EMFILE"))
    }

    /// ENOSPC also stands for used-up watches, and no disk is full then. Source: inotify_add_watch(2).
    static func isLimitInDisguise(_ line: String) -> Bool {
        isNoSpace(line) && (line.holds("inotify") || line.holds("watch"))
    }
}

import LinuxKit

/// The file systems of a cell: the same for every dump and restore, so that they never are a difference.
///
/// The userland's disk is the root itself and read-only, without an overlay, because an overlay shows other device
/// numbers in `/proc/PID/maps` than stat(2) does. What must be writable is tmpfs.
enum CellRoot {
    static let base = "/run/crlab"
    static let workFolder = base + "/work"
    static let imageFolder = base + "/image"
    static let metaFolder = base + "/meta"
    static let logFolder = base + "/log"
    static let binFolder = base + "/bin"
    static let runtimesFolder = base + "/runtimes"
    static let bundleFolder = base + "/bundle"

    /// Builds it over `root` and moves into it.
    ///
    /// - Precondition: In a mount namespace of its own, with private mounts.
    static func enter(root: String) throws(AgentError) {
        try AgentError.preparing("build the root of a cell") { () throws(LinuxError) in
            try GuestSystem.mount(root, on: "/cell", type: "", flags: .bind)
            try mounts()
            try devices()
            for folder in [base, workFolder, imageFolder, metaFolder, logFolder, binFolder] {
                try Files.makeFolder("/cell" + folder)
            }
            if let names = try? Files.names(in: Boot.runtimesFolder), !names.isEmpty {
                try Files.makeFolder("/cell" + runtimesFolder)
                try GuestSystem.mount(Boot.runtimesFolder, on: "/cell" + runtimesFolder, type: "", flags: .bind)
            }
            try program("/init", as: "crlab-agent")
            if (try? Files.status(of: "/bin/crengine")) != nil { try program("/bin/crengine", as: "crengine") }
            try GuestSystem.changeDirectory("/cell")
            try GuestSystem.pivotRootHere()
            try GuestSystem.detach(".")
            try GuestSystem.changeDirectory("/")
            try GuestSystem.setHostName("cell")
            try GuestSystem.raiseLoopback()
        }
    }

    private static func mounts() throws(LinuxError) {
        try GuestSystem.mount("proc", on: "/cell/proc", type: "proc", flags: [.noSuid, .noDev, .noExec])
        try GuestSystem.mount("sysfs", on: "/cell/sys", type: "sysfs", flags: [.noSuid, .noDev, .noExec, .readOnly])
        try GuestSystem.mount("tmpfs", on: "/cell/run", type: "tmpfs", data: "mode=755")
        try GuestSystem.mount("tmpfs", on: "/cell/tmp", type: "tmpfs", data: "mode=1777")
        try GuestSystem.mount("tmpfs", on: "/cell/dev", type: "tmpfs", flags: .noSuid, data: "mode=755")
        try Files.makeFolder("/cell/dev/pts")
        try Files.makeFolder("/cell/dev/shm")
        try GuestSystem.mount(
            "devpts", on: "/cell/dev/pts", type: "devpts", flags: [.noSuid, .noExec],
            data: "newinstance,ptmxmode=666,mode=620")
        try GuestSystem.mount("tmpfs", on: "/cell/dev/shm", type: "tmpfs", data: "mode=1777")
    }

    private static func devices() throws(LinuxError) {
        let nodes: [(String, UInt64, UInt64)] = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
        ]
        for (name, major, minor) in nodes {
            try GuestSystem.node("/cell/dev/" + name, mode: 0o20666, major: major, minor: minor)
            try GuestSystem.setMode("/cell/dev/" + name, 0o666)
        }
        try GuestSystem.symbolicLink("pts/ptmx", at: "/cell/dev/ptmx")
        try GuestSystem.symbolicLink("/proc/self/fd", at: "/cell/dev/fd")
        try GuestSystem.symbolicLink("/proc/self/fd/0", at: "/cell/dev/stdin")
        try GuestSystem.symbolicLink("/proc/self/fd/1", at: "/cell/dev/stdout")
        try GuestSystem.symbolicLink("/proc/self/fd/2", at: "/cell/dev/stderr")
    }

    /// A program of the initramfs, mounted into the cell under its own name.
    private static func program(_ path: String, as name: String) throws(LinuxError) {
        let target = "/cell" + binFolder + "/" + name
        try Files.write([], to: target, mode: 0o755)
        try GuestSystem.mount(path, on: target, type: "", flags: .bind)
    }
}

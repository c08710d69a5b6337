internal import CREngine
internal import LinuxKit

/// Where an image is written: to a file that has no name until it is whole, or into what is no regular file.
///
/// So nothing of an image is left behind by an engine that is killed. Where the file system knows no nameless files it
/// has a passing name.
struct ImageFile {
    /// Open for writing; whoever made this closes it.
    let fd: Int32
    /// The path of the image; `nil` for what is no regular file.
    private let target: String?
    /// The name that it has until it is whole.
    private let passingName: String
    private let isNameless: Bool

    init(_ path: String) throws(EngineError) {
        do throws(LinuxError) {
            var target = path
            if let there = try? Files.status(of: path) {
                guard there.kind == .regular else {
                    fd = try Files.open(path, [.writeOnly])
                    self.target = nil
                    passingName = ""
                    isNameless = false
                    return
                }
                // Through symbolic links to the file itself.
                let old = try Files.open(path, .pathOnly)
                defer { Files.close(old) }
                target = try Files.link("/proc/self/fd/\(old)")
            }
            self.target = target
            passingName = target + ".part-\(Kernel.attempt(.getpid))"
            let slash = target.lastIndex(of: "/")
            let folder = slash.map { $0 == target.startIndex ? "/" : String(target[..<$0]) } ?? "."
            if let nameless = try? Files.open(folder, [.writeOnly, .nameless], mode: 0o600) {
                fd = nameless
                isNameless = true
            } else {
                // O_TRUNC rather than O_EXCL: what an engine with this PID left behind is of no use.
                fd = try Files.open(passingName, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
                isNameless = false
            }
        } catch {
            throw .output(path, error.errno ?? .inputOutput)
        }
    }

    /// Gives the whole image its name, in place of what was there.
    func commit() throws(EngineError) {
        guard let target else { return }
        do throws(LinuxError) {
            if isNameless {
                let file = "/proc/self/fd/\(fd)"
                do throws(LinuxError) {
                    try Files.link(file, to: target)
                    return
                } catch {
                    guard error.errno == .exists else { throw error }
                }
                // Only rename(2) replaces.
                try? Files.unlink(passingName)
                try Files.link(file, to: passingName)
            }
            try Files.rename(passingName, to: target)
        } catch {
            throw .output(target, error.errno ?? .inputOutput)
        }
    }

    /// Removes what was written.
    func discard() {
        if target != nil { try? Files.unlink(passingName) }
    }
}

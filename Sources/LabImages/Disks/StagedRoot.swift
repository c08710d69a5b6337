import SystemPackage

/// A root folder being put together. Paths in it are given relative to its root and never lead out of it, whatever
/// symbolic links it holds.
struct StagedRoot: Sendable {
    let folder: FilePath

    /// Like a kernel's limit on links in one path.
    private static let linkLimit = 40

    /// Where a path of the staged root lies on the lab machine, links in its folders followed inside the root only.
    ///
    /// The last component is not followed. Components that do not exist are taken as they are.
    func path(_ relative: String) throws(ImagesError) -> FilePath {
        var pending = relative.split(separator: "/").map(String.init)
        var done: [String] = []
        var links = 0
        while !pending.isEmpty {
            let component = pending.removeFirst()
            switch component {
            case ".": continue
            case "..": _ = done.popLast()
            default:
                let here = (done + [component]).reduce(folder) { $0.appending($1) }
                guard !pending.isEmpty, let target = Files.linkTarget(here) else {
                    done.append(component)
                    continue
                }
                links += 1
                guard links <= Self.linkLimit else {
                    throw .fileFailed(
                        path: here.string, action: "follow symbolic links", why: "there is no end to them")
                }
                if target.hasPrefix("/") { done = [] }
                pending = target.split(separator: "/").map(String.init) + pending
            }
        }
        return done.reduce(folder) { $0.appending($1) }
    }

    /// Moves `/bin`, `/lib` and the like below `/usr` and leaves links: Debian's packages are unpacked as they are, and
    /// the script that does this on a real system must not run here.
    func mergeUsr(_ tools: ToolRunner) async throws(ImagesError) {
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let top = folder.appending(name)
            let below = folder.appending("usr").appending(name)
            if Files.isFolder(top), Files.linkTarget(top) == nil {
                try Files.makeFolder(below)
                try await tools.run(
                    .copy, ["-a", "--", "\(top)/.", "\(below)/"], purpose: "merge /\(name) into /usr/\(name)")
                try Files.removeTree(top)
            }
            if Files.isFolder(below), Files.linkTarget(top) == nil { try Files.link(top, to: "usr/\(name)") }
        }
    }

    func remove(_ relative: String) throws(ImagesError) { try Files.removeTree(try path(relative)) }

    func link(_ relative: String, to destination: String) throws(ImagesError) {
        try Files.link(try path(relative), to: destination)
    }

    func write(_ text: String, to relative: String) throws(ImagesError) {
        let target = try path(relative)
        try Files.makeFolder(target.removingLastComponent())
        // A link in this place would lead the write astray.
        if Files.linkTarget(target) != nil { try Files.removeTree(target) }
        try Files.write(text, to: target)
        try Files.setMode(0o644, of: target)
    }

    func makeFolder(_ relative: String) throws(ImagesError) {
        let target = try path(relative)
        if Files.linkTarget(target) == nil { try Files.makeFolder(target) }
    }
}

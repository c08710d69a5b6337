import SystemPackage

/// The list of everything in a root: type, mode, size, SHA-256 and path, separated by tabs, sorted by path.
///
/// Two disks with the same list hold the same files; the lines that differ say which files differ.
enum ContentsList {
    static func text(of root: FilePath, digests: FileDigests) async throws(ImagesError) -> String {
        let items = try Files.tree(root)
        let hashes = try await digests.digests(
            of: items.filter { $0.type == .file }.map { root.appending($0.path) })
        return items.map { item in
            let mode = String(item.mode & 0o1777, radix: 8)
            let path = root.appending(item.path)
            return switch item.type {
            case .file: "file\t\(mode)\t\(item.size)\t\(hashes[path.string] ?? "-")\t\(item.path)\n"
            case .folder: "folder\t\(mode)\t-\t-\t\(item.path)\n"
            case .link: "link\t-\t-\t-\t\(item.path) -> \(Files.linkTarget(path) ?? "")\n"
            case .other: "other\t\(mode)\t-\t-\t\(item.path)\n"
            }
        }.joined()
    }
}

/// How to come by a userland: Debian packages unpacked without running anything of theirs, or a root of the user.
public struct UserlandRecipe: Sendable, Equatable {
    /// Where the files come from.
    public enum Source: Sendable, Equatable {
        /// `packages` from `suites`, with all they depend on unless `alone`.
        case packages(suites: [String], packages: [String], alone: Bool)
        /// A root folder or a tar file (also compressed) of the user. The path is absolute.
        case root(String)
    }

    /// Name of the userland in scenarios.
    public let name: String
    public let source: Source
    /// Paths left out of the disk, relative to the root; a folder stands for all below it.
    public let exclude: [String]
    /// Symbolic links that maintainer scripts would have made: path to destination.
    public let links: [String: String]
    /// Small files written last: path to content.
    public let files: [String: String]
    /// Empty folders to make, such as mount points.
    public let folders: [String]
    /// Free space in the file system, MiB.
    public let slackMiB: Int
    /// Version of its glibc, empty when it has none; `nil` when the recipe does not tell.
    public let libc: String?
    /// Whether it is prepared only for a host that names it.
    public let isOnDemand: Bool
    /// The recipe's file, for messages.
    public let file: String
}

extension UserlandRecipe {
    /// A root of the user, taken as it is.
    ///
    /// - Parameter root: Absolute path of a folder or a tar file.
    public init(name: String, root: String, file: String) {
        self.init(
            name: name, source: .root(root), exclude: [], links: [:], files: [:], folders: [], slackMiB: 16, libc: nil,
            isOnDemand: false, file: file)
    }
}

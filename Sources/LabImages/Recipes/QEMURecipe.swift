/// How to come by a QEMU that is known to be good, where the lab machine has none.
public struct QEMURecipe: Sendable, Equatable {
    public let suites: [String]
    /// The suite whose versions win over those of the others.
    public let prefer: String?
    public let packages: [String]
    /// What is kept of the unpacked tree, relative to its root.
    public let keep: [String]
    /// The program in the tree.
    public let program: String
    /// Folders with firmware and ROMs, given to QEMU with `-L`.
    public let dataFolders: [String]
    /// The recipe's file, for messages.
    public let file: String
}

/// How to come by a QEMU of its own, beside the lab machine's.
public struct QEMURecipe: Sendable, Equatable {
    /// Name in scenarios.
    public let name: String
    /// Whether hosts that name none get it where the lab machine's own is not known to be good.
    public let isDefault: Bool
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

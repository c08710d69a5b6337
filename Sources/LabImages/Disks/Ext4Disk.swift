import SystemPackage

/// Makes an ext4 file system from a folder, without root: `mkfs.ext4 -d` under `fakeroot`, which makes it believe that
/// root owns every file.
struct Ext4Disk: Sendable {
    private static let blockBytes = 4096
    private static let inodeBytes = 256
    /// Any fixed moment: what is in the disk shall not tell when it was built.
    static let epoch = 1_700_000_000

    /// Spelled out, so that the defaults of the lab machine's mke2fs do not matter. All are known to Linux 4.x; no
    /// journal, since the disk is attached read-only.
    private static let features =
        "none,ext_attr,dir_index,filetype,extent,64bit,sparse_super,large_file,huge_file,dir_nlink,extra_isize"

    let tools: ToolRunner

    func make(
        from root: FilePath, to disk: FilePath, label: String, identity: String, slackMiB: Int
    ) async throws(ImagesError) {
        let items = try Files.tree(root)
        let mke2fs = try tools.require(.makeExt4, for: "make the disk")
        let inodes = items.count + 256
        let kibibytes = Self.bytesNeeded(items, inodes: inodes, slackMiB: slackMiB) / 1024
        let uuid = Self.uuid(from: identity)
        // Owners and times are set inside fakeroot, so that root's and an ordinary user's builds are alike; set-uid
        // bits go, since nothing in a guest needs them and chown treats them differently for root.
        let script = """
            set -e
            chmod -R ug-s "$1"
            chown -hR 0:0 "$1"
            find "$1" -exec touch -h -d @\(Self.epoch) {} +
            exec "$2" -q -F -d "$1" -t ext4 -O \(Self.features) -b \(Self.blockBytes) -I \(Self.inodeBytes) \
            -N \(inodes) -m 0 -L "$4" -U \(uuid) -E hash_seed=\(uuid),root_owner=0:0,lazy_itable_init=0,nodiscard \
            "$3" \(kibibytes)k
            """
        try await tools.run(
            .fakeroot, ["--", "sh", "-c", script, "sh", root.string, mke2fs.string, disk.string, label],
            environment: ["E2FSPROGS_FAKE_TIME": "\(Self.epoch)", "SOURCE_DATE_EPOCH": "\(Self.epoch)"], seconds: 900,
            purpose: "make the disk")
    }

    /// Space for content, inodes and the file system's own tables, with a little room for estimation errors.
    static func bytesNeeded(_ items: [Files.Item], inodes: Int, slackMiB: Int) -> Int {
        let content = items.reduce(0) { sum, item in
            switch item.type {
            case .file: sum + (item.size + blockBytes - 1) / blockBytes * blockBytes
            // Short links live in the inode; a folder takes a block, larger ones a few.
            case .folder: sum + 2 * blockBytes
            case .link: sum + (item.size >= 60 ? blockBytes : 0)
            case .other: sum
            }
        }
        let tables = inodes * inodeBytes
        let total = content + tables + (content + tables) / 50 + ((4 + slackMiB) << 20)
        let mebibyte = 1 << 20
        return (total + mebibyte - 1) / mebibyte * mebibyte
    }

    /// A UUID that depends on nothing but the identity.
    static func uuid(from identity: String) -> String {
        let digits = Array(SHA256.hex(identity))
        let groups = [digits[0..<8], digits[8..<12], ["4"] + digits[13..<16], ["8"] + digits[17..<20], digits[20..<32]]
        return groups.map { String($0) }.joined(separator: "-")
    }
}

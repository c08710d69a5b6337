import CRModel
import SystemPackage

/// Makes an ext4 file system from a folder, without root: `mkfs.ext4 -d` copies the files, `debugfs` then gives them to
/// root. (`fakeroot` would do that too, but leaves a daemon behind when the build is killed.)
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
        let inodes = items.count + 256
        let kibibytes = Self.bytesNeeded(items, inodes: inodes, slackMiB: slackMiB) / 1024
        let uuid = Self.uuid(from: identity)
        try await tools.run(
            .shell, ["-c", "exec find \"$1\" -exec touch -h -d @\(Self.epoch) {} +", "sh", root.string], seconds: 300,
            purpose: "set the times of files")
        try await tools.run(
            .makeExt4,
            [
                "-q", "-F", "-t", "ext4", "-d", root.string, "-O", Self.features, "-b", "\(Self.blockBytes)",
                "-I", "\(Self.inodeBytes)", "-N", "\(inodes)", "-m", "0", "-L", label, "-U", uuid,
                "-E", "hash_seed=\(uuid),root_owner=0:0,lazy_itable_init=0,nodiscard", disk.string, "\(kibibytes)k",
            ], environment: Self.fixedTime, seconds: 900, purpose: "make the disk")
        try await fixInodes(of: disk, count: items.count)
    }

    private static let fixedTime = ["E2FSPROGS_FAKE_TIME": "\(epoch)", "SOURCE_DATE_EPOCH": "\(epoch)"]

    /// Gives every file to root and sets its change time.
    ///
    /// `mkfs.ext4 -d` copies both from the folder, where an ordinary user can set neither. Inodes that no file got are
    /// set too, which nothing reads and which spares finding out which they are.
    private func fixInodes(of disk: FilePath, count: Int) async throws(ImagesError) {
        // 2 is the root, 11 the first that a file may get.
        let commands = ([2] + Array(11...(11 + count))).map { inode in
            "sif <\(inode)> uid 0\nsif <\(inode)> gid 0\nsif <\(inode)> ctime @\(Self.epoch)\n"
        }
        let script = FilePath("\(disk).debugfs")
        try Files.write(commands.joined(), to: script)
        try await tools.run(
            .debugfs, ["-w", "-f", script.string, disk.string], environment: Self.fixedTime, purpose: "make the disk")
        try Files.removeTree(script)
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

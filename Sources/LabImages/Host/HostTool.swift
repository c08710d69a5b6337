/// A program of the lab machine that host preparation uses, and the Debian package that brings it.
enum HostTool: String, Sendable, CaseIterable {
    case aptCache = "apt-cache"
    case aptGet = "apt-get"
    case copy = "cp"
    case dpkgDeb = "dpkg-deb"
    case fakeroot
    case gzip
    case ldconfig
    case lz4
    case makeExt4 = "mkfs.ext4"
    case remove = "rm"
    case sha256sum
    case shell = "sh"
    case strip
    case tar
    case xz
    case zstd

    var package: String {
        switch self {
        case .aptCache, .aptGet: "apt"
        case .copy, .remove, .sha256sum: "coreutils"
        case .dpkgDeb: "dpkg"
        case .fakeroot: "fakeroot"
        case .gzip: "gzip"
        case .ldconfig: "libc-bin"
        case .lz4: "lz4"
        case .makeExt4: "e2fsprogs"
        case .shell: "dash"
        case .strip: "binutils"
        case .tar: "tar"
        case .xz: "xz-utils"
        case .zstd: "zstd"
        }
    }
}

/// A program of the lab machine that host preparation uses, and the Debian package that brings it.
enum HostTool: String, Sendable, CaseIterable {
    case aptCache = "apt-cache"
    case aptGet = "apt-get"
    case aptHelper = "apt-helper"
    case changeMode = "chmod"
    case copy = "cp"
    case debugfs
    case dpkgDeb = "dpkg-deb"
    case gzip
    case ldconfig
    case lz4
    case makeExt4 = "mkfs.ext4"
    case sha256sum
    case shell = "sh"
    case strip
    case tar
    case xz
    case zstd

    var package: String {
        switch self {
        case .aptCache, .aptGet, .aptHelper: "apt"
        case .changeMode, .copy, .sha256sum: "coreutils"
        case .dpkgDeb: "dpkg"
        case .gzip: "gzip"
        case .ldconfig: "libc-bin"
        case .lz4: "lz4"
        case .debugfs, .makeExt4: "e2fsprogs"
        case .shell: "dash"
        case .strip: "binutils"
        case .tar: "tar"
        case .xz: "xz-utils"
        case .zstd: "zstd"
        }
    }
}

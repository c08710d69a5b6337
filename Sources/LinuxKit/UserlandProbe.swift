public import CRModel

/// Looks at a userland, whose root need not be our own.
public enum UserlandProbe {
    /// - Parameters:
    ///   - root: Folder of the root file system, without a slash at the end; empty for our own.
    ///   - diskImage: Content hash of its disk image; empty when there is none.
    public static func fingerprint(root: String, diskImage: String) -> UserlandFingerprint {
        UserlandFingerprint(name: systemName(root: root), libc: libraryVersion(root: root), diskImage: diskImage)
    }

    private static func systemName(root: String) -> String {
        // `/etc/os-release` is mostly a relative link, which resolves inside the disk.
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            guard let text = try? Files.text(of: root + path) else { continue }
            for line in text.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
                return String(line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" })
            }
        }
        return ""
    }

    /// The version in glibc's banner, `stable release version 2.36.`; empty for another or no C library.
    private static func libraryVersion(root: String) -> String {
        let banner = Array("release version ".utf8)
        for folder in ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib"] {
            guard let bytes = try? Files.contents(of: root + folder + "/libc.so.6") else { continue }
            // By hand: the standard library's generic search takes most of a second for the 2 MB of a C library, and
            // ten times that in a guest.
            var index = 0
            while let first = bytes[index...].firstIndex(of: banner[0]), first + banner.count + 8 < bytes.count {
                if bytes[first..<(first + banner.count)].elementsEqual(banner) {
                    let text = bytes[(first + banner.count)..<(first + banner.count + 8)]
                    let digits = String(decoding: text, as: UTF8.self).prefix { $0.isNumber || $0 == "." }
                    return digits.hasSuffix(".") ? String(digits.dropLast()) : String(digits)
                }
                index = first + 1
            }
        }
        return ""
    }
}

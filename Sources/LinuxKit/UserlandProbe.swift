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
            let path = root + folder + "/libc.so.6"
            guard let size = try? Files.status(of: path).sizeBytes, let fd = try? Files.open(path, .readOnly) else {
                continue
            }
            defer { Files.close(fd) }
            // From the end: constants lie behind the code, which is most of the 2 MB.
            var start = size
            while start > 0 {
                let end = min(size, start + 64)
                start = start > windowBytes ? start - windowBytes : 0
                guard let bytes = try? Files.bytes(of: fd, from: start, count: Int(end - start)) else { break }
                guard let first = bytes.firstIndex(of: banner), first + banner.count + 8 <= bytes.count else {
                    continue
                }
                let text = bytes[(first + banner.count)..<(first + banner.count + 8)]
                let digits = String(decoding: text, as: UTF8.self).prefix { $0.isNumber || $0 == "." }
                return digits.hasSuffix(".") ? String(digits.dropLast()) : String(digits)
            }
        }
        return ""
    }

    private static let windowBytes: UInt64 = 64 << 10
}

extension [UInt8] {
    /// Where some bytes are first.
    ///
    /// By hand: the standard library's generic search takes most of a second for the 2 MB of a C library, and ten times
    /// that in a guest.
    fileprivate func firstIndex(of pattern: [UInt8]) -> Int? {
        guard let last = pattern.last else { return 0 }
        // How far the pattern may go on, by the byte under its end (Horspool).
        var steps = [Int](repeating: pattern.count, count: 256)
        for (index, byte) in pattern.dropLast().enumerated() { steps[Int(byte)] = pattern.count - 1 - index }
        var end = pattern.count - 1
        while end < count {
            let byte = self[end]
            if byte == last, self[(end - pattern.count + 1)...end].elementsEqual(pattern) {
                return end - pattern.count + 1
            }
            end += steps[Int(byte)]
        }
        return nil
    }
}

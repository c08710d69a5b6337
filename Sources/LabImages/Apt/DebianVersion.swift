import Foundation

/// A Debian package version, ordered as dpkg orders them: epoch, upstream part, revision; `~` sorts before everything.
///
/// - Source: Debian Policy 5.6.12, `deb-version(7)`.
struct DebianVersion: Sendable, Comparable, CustomStringConvertible {
    let text: String
    private let epoch: Int
    private let upstream: [UInt8]
    private let revision: [UInt8]

    init(_ text: String) {
        self.text = text
        var rest = text[...]
        var epoch = 0
        if let colon = rest.firstIndex(of: ":"), let number = Int(rest[..<colon]) {
            epoch = number
            rest = rest[rest.index(after: colon)...]
        }
        self.epoch = epoch
        if let dash = rest.lastIndex(of: "-") {
            upstream = Array(rest[..<dash].utf8)
            revision = Array(rest[rest.index(after: dash)...].utf8)
        } else {
            upstream = Array(rest.utf8)
            revision = []
        }
    }

    var description: String { text }

    static func == (a: DebianVersion, b: DebianVersion) -> Bool { !(a < b) && !(b < a) }

    static func < (a: DebianVersion, b: DebianVersion) -> Bool {
        if a.epoch != b.epoch { return a.epoch < b.epoch }
        let upstream = compare(a.upstream, b.upstream)
        return upstream != 0 ? upstream < 0 : compare(a.revision, b.revision) < 0
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    /// Weight of a byte outside numbers: `~`, then the end, then letters, then the rest.
    private static func weight(_ byte: UInt8) -> Int {
        switch byte {
        case UInt8(ascii: "~"): -1
        case UInt8(ascii: "0")...UInt8(ascii: "9"): 0
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte)
        default: Int(byte) + 256
        }
    }

    private static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var i = 0
        var j = 0
        while i < a.count || j < b.count {
            while (i < a.count && !isDigit(a[i])) || (j < b.count && !isDigit(b[j])) {
                let left = i < a.count ? weight(a[i]) : 0
                let right = j < b.count ? weight(b[j]) : 0
                if left != right { return left - right }
                i += 1
                j += 1
            }
            while i < a.count && a[i] == 0x30 { i += 1 }
            while j < b.count && b[j] == 0x30 { j += 1 }
            var firstDifference = 0
            while i < a.count && j < b.count && isDigit(a[i]) && isDigit(b[j]) {
                if firstDifference == 0 { firstDifference = Int(a[i]) - Int(b[j]) }
                i += 1
                j += 1
            }
            if i < a.count && isDigit(a[i]) { return 1 }
            if j < b.count && isDigit(b[j]) { return -1 }
            if firstDifference != 0 { return firstDifference }
        }
        return 0
    }
}

/// A name pattern in which `*` stands for any run of characters, also an empty one.
struct NamePattern: Sendable, Equatable {
    let text: String

    init(_ text: String) { self.text = text }

    /// The part before the first `*`: what an index is asked for.
    var prefix: String { String(text.prefix { $0 != "*" }) }

    func matches(_ name: String) -> Bool {
        let parts = text.split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count > 1 else { return name == text }
        guard let first = parts.first, let last = parts.last, name.count >= first.count + last.count,
            name.hasPrefix(first), name.hasSuffix(last)
        else { return false }
        var rest = name.dropFirst(first.count).dropLast(last.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.range(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}

/// Chooses a kernel package and the packages that hold its content.
enum KernelPackages {
    /// The newest paragraph by Debian version; among equal versions the last name.
    static func newest(of paragraphs: [[String: String]], version: String?) -> [String: String]? {
        let pattern = version.map(NamePattern.init)
        return
            paragraphs
            .filter { paragraph in
                guard paragraph["Package"] != nil, let found = paragraph["Version"] else { return false }
                return pattern?.matches(found) ?? true
            }
            .max { a, b in
                let left = DebianVersion(a["Version"] ?? "")
                let right = DebianVersion(b["Version"] ?? "")
                return left == right ? (a["Package"] ?? "") < (b["Package"] ?? "") : left < right
            }
    }

    /// Dependencies pinned to exactly the version of the package itself.
    ///
    /// From 6.19 on Debian's image package is a stub of 2 kB whose content (kernel, modules, configuration) lies in
    /// sibling packages built with it, and a pin to the same version is what marks those: tools such as
    /// `initramfs-tools` are never pinned.
    static func siblings(of paragraph: [String: String]) -> [String] {
        guard let version = paragraph["Version"] else { return [] }
        return (paragraph["Depends"] ?? "").split(separator: ",").compactMap { dependency in
            let words = dependency.split { $0.isWhitespace || "()".contains($0) }.map(String.init)
            guard words.count == 3, words[1] == "=", words[2] == version else { return nil }
            return words[0]
        }
    }
}

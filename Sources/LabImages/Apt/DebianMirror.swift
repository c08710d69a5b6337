import Foundation
import SystemPackage

/// Where Debian's packages are fetched from, taken from the lab machine's own apt configuration.
///
/// No host is named in code: whoever set the machine up has chosen a mirror (often a nearer or an internal one), and
/// the same mirror holds the other suites.
struct DebianMirror: Sendable, Equatable {
    /// Address of the archive, without a trailing slash.
    let uri: String
    /// Address of the archive of security updates; `nil` when the machine uses none.
    let securityURI: String?
    /// Key rings that may sign; empty means those that apt trusts by itself.
    let keyrings: [String]

    /// The address that serves a suite.
    func uri(for suite: String) -> String {
        suite.hasSuffix("-security") || suite.hasSuffix("/updates") ? securityURI ?? uri : uri
    }

    /// Takes the user's word, otherwise chooses among the machine's sources.
    ///
    /// - Throws: `ImagesError.mirrorUnknown` when no source is a Debian archive.
    static func choose(
        override: String?, keyring: String?, sources: [AptSource], codename: String?, looked: [String],
        standardKeyrings: [String]
    ) throws(ImagesError) -> DebianMirror {
        let usable = sources.filter { source in
            ["http://", "https://", "file:", "mirror+", "ftp://"].contains { source.uri.hasPrefix($0) }
                && (source.components.contains("main"))
        }
        let security = usable.first { $0.suite.contains("-security") || $0.suite.contains("/updates") }
        let plain = usable.filter { !$0.suite.contains("-security") && !$0.suite.contains("/updates") }
        // The source that serves the machine's own release comes first; a third-party archive seldom has `main` and
        // that suite, and its path seldom ends like Debian's.
        let isArchive = { (source: AptSource) in trimmed(source.uri).hasSuffix("/debian") }
        let chosen =
            plain.first { $0.suite == codename && isArchive($0) } ?? plain.first(where: isArchive)
            ?? plain.first { $0.suite == codename && codename.map(debianNames.contains) == true }
        let keyrings = keyring.map { [$0] } ?? unique((chosen?.signedBy ?? []) + standardKeyrings)
        if let override {
            return DebianMirror(
                uri: trimmed(override), securityURI: security.map { trimmed($0.uri) }, keyrings: keyrings)
        }
        guard let chosen else { throw .mirrorUnknown(looked: looked) }
        return DebianMirror(
            uri: trimmed(chosen.uri), securityURI: security.map { trimmed($0.uri) }, keyrings: keyrings)
    }

    /// Reads the machine's configuration below a root (`/` but in tests).
    static func ofMachine(
        root: FilePath = "/", override: String?, keyring: String?
    ) throws(ImagesError) -> DebianMirror {
        let apt = root.appending("etc/apt")
        var looked: [String] = []
        var sources: [AptSource] = []
        let main = apt.appending("sources.list")
        let parts = apt.appending("sources.list.d")
        for path in [main] + Files.names(in: parts).map({ parts.appending($0) }) {
            guard let text = try? Files.text(path) else { continue }
            switch path.extension {
            case "list": sources += AptSources.parseOneLine(text)
            case "sources": sources += AptSources.parseStanzas(text)
            default: continue
            }
            looked.append(path.string)
        }
        let release = (try? Files.text(root.appending("etc/os-release"))) ?? ""
        let codename = release.split(separator: "\n").first { $0.hasPrefix("VERSION_CODENAME=") }
            .map { $0.dropFirst("VERSION_CODENAME=".count).trimmingCharacters(in: CharacterSet(charactersIn: "\"'")) }
        let standard = [
            "usr/share/keyrings/debian-archive-keyring.gpg", "usr/share/keyrings/debian-archive-keyring.pgp",
        ]
        .map { root.appending($0) }.filter { Files.exists($0) }.map(\.string)
        return try choose(
            override: override, keyring: keyring, sources: sources, codename: codename, looked: looked,
            standardKeyrings: Array(standard.prefix(1)))
    }

    private static let debianNames: Set<String> = [
        "buster", "bullseye", "bookworm", "trixie", "forky", "sid",
    ]

    private static func trimmed(_ uri: String) -> String {
        var uri = uri
        while uri.hasSuffix("/") { uri.removeLast() }
        return uri
    }

    private static func unique(_ values: [String]) -> [String] {
        values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

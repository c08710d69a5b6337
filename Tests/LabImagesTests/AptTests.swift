import SystemPackage
import Testing

@testable import LabImages

@Suite("apt")
struct AptTests {
    @Test("one-line sources")
    func oneLine() {
        let text = """
            # deb http://commented.example/debian x main
            deb http://deb.example/debian bookworm main contrib # and more
            deb-src http://deb.example/debian bookworm main
              deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] https://sec.example/debian-security bookworm-security main
            deb [broken http://x.example/ y main
            deb http://short.example
            debris http://x.example a main
            """
        #expect(
            AptSources.parseOneLine(text) == [
                AptSource(
                    uri: "http://deb.example/debian", suite: "bookworm", components: ["main", "contrib"], signedBy: []),
                AptSource(
                    uri: "https://sec.example/debian-security", suite: "bookworm-security", components: ["main"],
                    signedBy: ["/k/a.gpg", "/k/b.gpg"]),
            ])
    }

    @Test("deb822 sources")
    func stanzas() {
        let text = """
            # comment
            Types: deb deb-src
            URIs: http://deb.example/debian/
            Suites: bookworm
             bookworm-updates
            Components: main
            Signed-By: /k/a.gpg

            Types: deb
            Enabled: no
            URIs: http://off.example/debian
            Suites: x
            Components: main

            types: deb
            uris: http://key.example/debian
            suites: y
            components: main
            Signed-By:
             -----BEGIN PGP PUBLIC KEY BLOCK-----
             .
             abc
            """
        let sources = AptSources.parseStanzas(text)
        #expect(sources.map(\.suite) == ["bookworm", "bookworm-updates", "y"])
        #expect(sources.map(\.signedBy) == [["/k/a.gpg"], ["/k/a.gpg"], []])
    }

    static let debian = AptSource(
        uri: "http://m.example/debian/", suite: "bookworm", components: ["main"], signedBy: [])
    static let security = AptSource(
        uri: "http://m.example/debian-security", suite: "bookworm-security", components: ["main"], signedBy: [])
    static let other = AptSource(
        uri: "https://tools.example/apt", suite: "tools-bookworm", components: ["main"], signedBy: ["/k/t.gpg"])

    @Test("the machine's own archive is the mirror, whatever stands before it")
    func mirror() throws {
        let mirror = try DebianMirror.choose(
            override: nil, keyring: nil, sources: [Self.other, Self.security, Self.debian], codename: "bookworm",
            looked: [], standardKeyrings: ["/k/std.gpg"])
        #expect(mirror.uri(for: "trixie") == "http://m.example/debian")
        #expect(mirror.uri(for: "bookworm-security") == "http://m.example/debian-security")
        #expect(mirror.keyrings == ["/k/std.gpg"])
    }

    @Test("the user's mirror and key ring win")
    func override() throws {
        let mirror = try DebianMirror.choose(
            override: "http://u.example/debian/", keyring: "/k/mine.gpg", sources: [Self.debian], codename: "bookworm",
            looked: [], standardKeyrings: ["/k/std.gpg"])
        #expect(mirror == DebianMirror(uri: "http://u.example/debian", securityURI: nil, keyrings: ["/k/mine.gpg"]))
    }

    @Test("no Debian archive among the sources is an error that says where was looked")
    func noMirror() throws {
        #expect(throws: ImagesError.mirrorUnknown(looked: ["/etc/apt/sources.list"])) {
            try DebianMirror.choose(
                override: nil, keyring: nil, sources: [Self.other], codename: "jammy",
                looked: ["/etc/apt/sources.list"],
                standardKeyrings: [])
        }
    }

    @Test("printed addresses become exact packages")
    func printedURIs() throws {
        let digest = String(repeating: "ab", count: 32)
        let text = """
            Reading package lists...
            'http://m/pool/libaudit1_3.0.9-1_amd64.deb' libaudit1_1%3a3.0.9-1_amd64.deb 46764 SHA256:\(digest)
            """
        let records = try #require(PackageRecord.parse(printedURIs: text))
        #expect(records.map { "\($0.name)=\($0.version)" } == ["libaudit1=1:3.0.9-1"])
        #expect(records.first?.bytes == 46764)
        #expect(records.first?.sha256 == digest)
        #expect(PackageRecord.parse(printedURIs: "'http://m/a' a_1_amd64.deb 5 MD5Sum:abc") == nil)
        #expect(PackageRecord.parse(printedURIs: "'http://m/a' a_1_amd64.deb 5") == nil)
    }

    /// In ascending order.
    static let versions = [
        "1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-2", "1.0-10", "1.0a-1", "1.0+dfsg-1", "1.2-1", "1.10-1",
        "1:0.1-1", "2:0.0-1",
    ]

    @Test("Debian's order of versions")
    func versionOrder() {
        #expect(Self.versions.shuffled().map(DebianVersion.init).sorted().map(\.text) == Self.versions)
        #expect(DebianVersion("1.0-1") == DebianVersion("0:1.0-1"))
        #expect(DebianVersion("1.00-1") == DebianVersion("1.0-1"))
    }

    static let patterns: [(String, String, Bool)] = [
        ("linux-image-*-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64", true),
        ("linux-image-*-cloud-amd64", "linux-image-cloud-amd64", false),
        ("linux-image-*-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64-dbg", false),
        ("linux-image-5.10.*-cloud-amd64", "linux-image-5.1.0-cloud-amd64", false),
        ("a*b*c", "aXbYc", true), ("a*b*c", "aXc", false), ("*", "", true), ("abc", "abc", true),
        ("ab*ba", "aba", false),
    ]

    @Test("name patterns", arguments: patterns)
    func pattern(_ pattern: String, _ name: String, _ expected: Bool) {
        #expect(NamePattern(pattern).matches(name) == expected)
    }

    @Test("the newest kernel is chosen by version, and its content lies in packages pinned to it")
    func kernelChoice() throws {
        let stub = [
            "Package": "linux-image-7.3.4+deb13-cloud-amd64", "Version": "7.3.4-1~bpo13+1",
            "Depends": "dracut | initramfs-tools (>= 0.120), linux-base-7.3.4 (= 7.3.4-1~bpo13+1), "
                + "linux-binary-7.3.4 (= 7.3.4-1~bpo13+1), kmod, other (= 1)",
        ]
        let old = ["Package": "linux-image-7.2.12+deb13-cloud-amd64", "Version": "7.2.12-1~bpo13+1"]
        let newest = try #require(KernelPackages.newest(of: [old, stub, [:]], version: nil))
        #expect(newest["Package"] == stub["Package"])
        #expect(KernelPackages.siblings(of: newest) == ["linux-base-7.3.4", "linux-binary-7.3.4"])
        #expect(KernelPackages.newest(of: [old, stub], version: "7.2.*")?["Package"] == old["Package"])
        #expect(KernelPackages.newest(of: [old, stub], version: "9*") == nil)
    }

    @Test("the private configuration drops hooks and stays in its folder")
    func configuration() {
        let text = AptArchive.configurationText(root: "/c/apt/x")
        #expect(text.contains("#clear APT::Update::Post-Invoke;"))
        #expect(text.contains("Dir::State::status \"/c/apt/x/dpkg/status\";"))
        #expect(!text.contains("http://"))
    }

    static let qemus: [(String, String)] = [
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright", "good"),
        ("QEMU emulator version 11.1.3", "good"), ("QEMU emulator version 7.2.19 (Debian)", "bad"),
        ("QEMU emulator version 8.2.2", "unmeasured"), ("QEMU emulator version 7.1.0", "unmeasured"),
    ]

    @Test("which QEMU is taken", arguments: qemus)
    func qemu(_ text: String, _ expected: String) throws {
        let version = try #require(QEMUJudgement.version(in: text))
        let judgement =
            switch QEMUJudgement.of(version: version) {
            case .good: "good"
            case .bad(let why): why.contains("cmpxchg16b") ? "bad" : "no reason"
            case .unmeasured: "unmeasured"
            }
        #expect(judgement == expected)
    }
}

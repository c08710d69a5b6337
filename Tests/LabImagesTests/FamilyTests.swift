import SystemPackage
import Testing

@testable import LabImages

@Suite("Families of kernels")
struct FamilyTests {
    static let digest = String(repeating: "ab", count: 32)

    static func paragraph(_ release: String, _ version: String, path: String? = nil, needs: [String] = []) -> [String:
        String]
    {
        let name = "linux-image-\(release)-cloud-amd64"
        return [
            "Package": name, "Version": version, "Architecture": "amd64", "SHA256": digest, "Size": "7",
            "Filename": path ?? "pool/main/l/linux/\(name)_\(version)_amd64.deb",
            "Depends": (["kmod"] + needs.map { "\($0) (= \(version))" }).joined(separator: ", "),
        ]
    }

    static func family(_ extra: String = "") throws -> KernelFamily {
        try KernelFamily(
            text: """
                each: series
                suites: [old, new]
                package: "linux-image-*-cloud-amd64"
                also-first: ["6.12"]
                \(extra)
                """, path: "/r/debian.yaml")
    }

    /// One suite with an older and a newer series, one with the end of the older one.
    static func releases(pins: [String: String] = [:]) -> [KernelRelease] {
        let pattern = NamePattern("linux-image-*-cloud-amd64")
        let new = [
            paragraph("6.12.9", "6.12.9-1"), paragraph("6.12.43", "6.12.43-1"), paragraph("7.3", "7.3~rc7-1~exp1"),
            paragraph("7.1.13", "7.1.13-1~bpo13+1", needs: ["linux-modules-7.1.13-cloud-amd64"]),
            paragraph("6.12", "6.12.43-1"), ["Package": "linux-image-cloud-amd64", "Version": "9"],
        ]
        return KernelRelease.find(in: new, matching: pattern, suite: "new", pins: pins)
            + KernelRelease.find(
                in: [paragraph("6.12.43", "6.12.43-1~bpo12+1")], matching: pattern, suite: "old", pins: pins)
    }

    @Test("members: the newest of each series by number, the oldest where asked")
    func members() throws {
        let members = try Self.family().members(of: Self.releases())
        #expect(members.map(\.name) == ["debian-6.12-first", "debian-6.12", "debian-7.1", "debian-7.3"])
        #expect(members.map(\.release.release) == ["6.12.9", "6.12.43", "7.1.13", "7.3~rc7"])
        #expect(members[1].release.version == "6.12.43-1", "the newest build of the same release")
        #expect(members[1].release.package == "linux-image-6.12.43-cloud-amd64", "not the package that refers to it")
        #expect(members[2].release.missing == ["linux-modules-7.1.13-cloud-amd64=7.1.13-1~bpo13+1"])
    }

    @Test("a pinned package makes a release whole again")
    func pinned() throws {
        let path = "pool/main/l/linux/linux-modules-7.1.13-cloud-amd64_7.1.13-1~bpo13+1_amd64.deb"
        let release = try #require(
            Self.family().pick(.last(series: "7.1"), of: Self.releases(pins: [path: Self.digest])))
        #expect(release.missing.isEmpty)
        #expect(release.packages.map(\.path).last == path)
        #expect(release.packages.allSatisfy { $0.sha256 == Self.digest && $0.suite == "new" })
    }

    static let names: [(String, KernelChoice?)] = [
        ("debian-6.12", .last(series: "6.12")), ("debian-6.12-last", .last(series: "6.12")),
        ("debian-6.12-first", .first(series: "6.12")), ("debian-6.12.95", .exactly(release: "6.12.95")),
        ("debian-6", nil), ("debian-6.12-middle", nil), ("debian-6.12.9-first", nil), ("debian-newest", nil),
        ("debian-6..1", nil), ("ubuntu-6.12", nil), ("debian-", nil), ("debian-6.12-", nil),
    ]

    @Test("names of members", arguments: names)
    func name(_ text: String, _ expected: KernelChoice?) throws {
        #expect(try Self.family().choice(of: text) == expected)
    }

    @Test("a pin must be a path and a digest", arguments: ["../etc/x_1_amd64.deb", "pool/x_1_amd64.deb"])
    func badPin(_ path: String) {
        #expect(throws: ImagesError.self) { try Self.family("pins: {\"\(path)\": abcd}") }
    }

    @Test(
        "a version's release and series",
        arguments: [
            ("6.12.95-1~bpo12+1", "6.12.95", "6.12"), ("7.3~rc7-1~exp1", "7.3~rc7", "7.3"),
            ("6.1.192-2", "6.1.192", "6.1"),
        ])
    func number(_ version: String, _ release: String, _ series: String) throws {
        let number = try #require(KernelRelease.number(of: version))
        #expect(number.release == release)
        #expect(number.series == series)
    }

    @Test("the repository's own family is well formed, and shadows no recipe")
    func own() throws {
        let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .appending("VMImages")
        let book = try RecipeBook(folder: folder)
        let family = try #require(book.families["debian"]).get()
        #expect(family.suites.count > 5)
        #expect(book.kernels["debian"] == nil)
        #expect(book.mayBeMember("debian-7.1"))
        #expect(try book.kernel(named: "debian-6.1").source != .member(of: family, .last(series: "6.1")))
    }
}

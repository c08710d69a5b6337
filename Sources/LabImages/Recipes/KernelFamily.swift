/// How to come by every kernel series that some suites hold: found by pattern when asked, so next month's are found too.
///
/// Its members are named after the recipe: `debian-6.12` is the newest point release of a series, `debian-6.12-first`
/// and `debian-6.12-last` its oldest and newest, `debian-6.12.95` that very one.
public struct KernelFamily: Sendable, Equatable {
    /// First part of the members' names.
    public let name: String
    /// Each is looked at on its own: one that is gone takes only its own kernels along.
    public let suites: [String]
    /// The packages' names; `*` stands for anything.
    public let package: String
    /// Series whose oldest point release is listed beside the newest.
    public let alsoFirst: [String]
    /// SHA-256 by path in the archive: packages that have left all indexes and still lie in the mirror's pool.
    public let pins: [String: String]
    let modules: ModuleWish?
    /// The recipe's file, for messages.
    public let file: String

    /// Which point release a member's name stands for; `nil` when the name is none of this family.
    func choice(of member: String) -> KernelChoice? {
        guard member.hasPrefix("\(name)-") else { return nil }
        return KernelChoice(String(member.dropFirst(name.count + 1)))
    }
}

/// Which point release of a family is meant.
public enum KernelChoice: Sendable, Equatable {
    case first(series: String)
    case last(series: String)
    case exactly(release: String)

    /// Reads `6.12`, `6.12-first`, `6.12-last` or `6.12.95`.
    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = (parts.first ?? "").split(separator: ".", omittingEmptySubsequences: false)
        let areNumbers = numbers.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        guard areNumbers, let number = parts.first.map(String.init) else { return nil }
        switch (numbers.count, parts.dropFirst().first, parts.count) {
        case (2, nil, 1), (2, "last", 2): self = .last(series: number)
        case (2, "first", 2): self = .first(series: number)
        case (3, nil, 1): self = .exactly(release: number)
        default: return nil
        }
    }
}

/// One point release of a family, as a suite's index describes it.
public struct KernelRelease: Sendable, Codable, Equatable {
    /// Such as `6.12.95`, or `7.3~rc7` before the series' first release.
    public let release: String
    /// Such as `6.12`.
    public let series: String
    /// The package that names it, and its version and suite.
    public let package: String
    public let version: String
    public let suite: String
    /// All packages with its content.
    public let packages: [PackageRecord]
    /// Packages with its content that have left the index and are not pinned: without them it is not to be had.
    public let missing: [String]
}

/// A kernel that a family offers by name.
public struct KernelMember: Sendable, Equatable {
    /// Name in scenarios.
    public let name: String
    public let release: KernelRelease
}

extension KernelFamily {
    /// What there is of a family, oldest series first.
    ///
    /// A point release that several suites hold counts once, in its newest build; one with missing content counts only
    /// where its series has no whole one, so that the listing can say why the series is not to be had.
    func members(of releases: [KernelRelease]) -> [KernelMember] {
        let series = Set(releases.map(\.series)).sorted { DebianVersion($0) < DebianVersion($1) }
        return series.flatMap { series -> [KernelMember] in
            guard let last = pick(.last(series: series), of: releases) else { return [] }
            var members: [KernelMember] = []
            if alsoFirst.contains(series), let first = pick(.first(series: series), of: releases), first != last {
                members.append(KernelMember(name: "\(name)-\(series)-first", release: first))
            }
            return members + [KernelMember(name: "\(name)-\(series)", release: last)]
        }
    }

    func pick(_ choice: KernelChoice, of releases: [KernelRelease]) -> KernelRelease? {
        func ordered(_ releases: [KernelRelease]) -> [KernelRelease] {
            // Among equal versions the last name: `linux-image-6.12-cloud-amd64` only refers to the package meant.
            releases.sorted {
                let (left, right) = (DebianVersion($0.version), DebianVersion($1.version))
                return left == right ? $0.package < $1.package : left < right
            }
        }
        func ends(_ series: String) -> [KernelRelease] {
            let all = ordered(releases.filter { $0.series == series })
            let whole = all.filter(\.missing.isEmpty)
            return whole.isEmpty ? all : whole
        }
        switch choice {
        case .last(let series): return ends(series).last
        case .exactly(let release): return ordered(releases.filter { $0.release == release }).last
        case .first(let series):
            let all = ends(series)
            // The newest build of the oldest point release.
            return all.first.flatMap { oldest in all.last { $0.release == oldest.release } }
        }
    }
}

extension KernelRelease {
    /// Reads index paragraphs of one suite.
    ///
    /// - Parameters:
    ///   - paragraphs: Of the image packages and of those that hold their content.
    ///   - pins: See ``KernelFamily/pins``.
    static func find(
        in paragraphs: [[String: String]], matching pattern: NamePattern, suite: String, pins: [String: String]
    ) -> [KernelRelease] {
        var records: [String: PackageRecord] = [:]
        for paragraph in paragraphs {
            guard let record = PackageRecord(paragraph: paragraph, suite: suite) else { continue }
            records["\(record.name)=\(record.version)"] = record
        }
        for (path, digest) in pins {
            guard let record = PackageRecord(pinned: path, sha256: digest, suite: suite) else { continue }
            let name = "\(record.name)=\(record.version)"
            if records[name] == nil { records[name] = record }
        }
        return paragraphs.compactMap { paragraph in
            guard let name = paragraph["Package"], pattern.matches(name), let version = paragraph["Version"],
                let number = number(of: version)
            else { return nil }
            let wanted = ([name] + KernelPackages.siblings(of: paragraph)).map { "\($0)=\(version)" }
            return KernelRelease(
                release: number.release, series: number.series, package: name, version: version, suite: suite,
                packages: wanted.compactMap { records[$0] }, missing: wanted.filter { records[$0] == nil })
        }
    }

    /// `6.12.95-1~bpo12+1` to `6.12.95` and `6.12`; `nil` when it is no kernel's version.
    static func number(of version: String) -> (release: String, series: String)? {
        guard let release = version.split(separator: "-").first.map(String.init) else { return nil }
        let plain = release.prefix { $0.isNumber || $0 == "." }.split(separator: ".")
        guard plain.count >= 2 else { return nil }
        return (release, plain.prefix(2).joined(separator: "."))
    }
}

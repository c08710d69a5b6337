import CRModel
import Foundation
import SystemPackage

/// One set of suites seen through apt with folders of its own.
///
/// apt itself fetches the indexes, checks their signatures and every checksum, uses the machine's proxy settings and
/// resolves dependencies. It runs as the ordinary user: nothing of the machine's own package state is read or written,
/// and an empty package status makes it resolve the full closure.
struct AptArchive: Sendable {
    let suites: [String]
    let mirror: DebianMirror
    private let prefer: String?
    private let root: FilePath
    private let packageFolder: FilePath
    private let tools: ToolRunner

    /// How long indexes stay good enough without `--refresh`.
    private static let indexLife: TimeInterval = 6 * 3600

    /// How long a suite that could not be had is not asked for again without `--refresh`: each run asks for every
    /// recipe, and a mirror that does not answer costs a timeout each time.
    private static let absenceLife: TimeInterval = 600

    /// - Parameters:
    ///   - suites: What is resolved together.
    ///   - prefer: The suite whose versions win.
    ///   - cache: The image cache; the apt folders lie in it.
    init(suites: [String], prefer: String? = nil, mirror: DebianMirror, cache: FilePath, tools: ToolRunner) {
        self.suites = suites
        self.prefer = prefer
        self.mirror = mirror
        self.tools = tools
        let identity = SHA256.hex(
            (suites.map { "\($0) \(mirror.uri(for: $0))" } + mirror.keyrings).joined(separator: "\n"))
        let label = suites.joined(separator: "+").replacing("/", with: "-")
        root = cache.appending("apt").appending("\(label)-\(identity.prefix(8))")
        packageFolder = cache.appending("packages")
    }

    private var configuration: FilePath { root.appending("apt.conf") }

    private var mirrorNames: String {
        var seen: [String] = []
        for suite in suites where !seen.contains(mirror.uri(for: suite)) { seen.append(mirror.uri(for: suite)) }
        return seen.joined(separator: " ")
    }

    /// Brings the indexes up to date.
    ///
    /// - Throws: `ImagesError.suiteUnavailable` naming the first suite whose index cannot be had.
    func update(force: Bool) async throws(ImagesError) {
        let stamp = root.appending("updated")
        let absence = root.appending("absent")
        if !force, isYoung(stamp, Self.indexLife) { return }
        if !force, isYoung(absence, Self.absenceLife) {
            let lines = try Files.text(absence).split(separator: "\n", maxSplits: 1).map(String.init)
            let suite = lines.first ?? suites[0]
            throw .suiteUnavailable(suite: suite, mirror: mirror.uri(for: suite), why: lines.last ?? "")
        }
        try prepareFolders()
        let outcome = try await get(["update", "-o", "APT::Update::Error-Mode=any"], purpose: "fetch package indexes")
        let targets = try await get(
            ["indextargets", "--format", "$(RELEASE) $(FILENAME)", "Created-By: Packages"],
            purpose: "list package indexes")
        let held = Set(
            targets.text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) })
        for suite in suites where !held.contains(suite) {
            let why = outcome.lastWords.isEmpty ? "apt has no package index of it" : outcome.lastWords
            try Files.write("\(suite)\n\(why)", to: absence)
            throw .suiteUnavailable(suite: suite, mirror: mirror.uri(for: suite), why: why)
        }
        guard outcome.succeeded else {
            throw .suiteUnavailable(
                suite: suites.joined(separator: ", "), mirror: mirrorNames, why: outcome.lastWords)
        }
        try Files.removeTree(absence)
        try Files.write("", to: stamp)
    }

    private func isYoung(_ path: FilePath, _ life: TimeInterval) -> Bool {
        guard let age = Files.modified(path).map({ -$0.timeIntervalSinceNow }) else { return false }
        return age >= 0 && age < life
    }

    /// Packages with everything they need, exact to version and checksum, sorted by name.
    func closure(of packages: [String]) async throws(ImagesError) -> [PackageRecord] {
        var arguments = ["install", "--yes", "--print-uris", "--no-install-recommends"]
        if let prefer { arguments += ["-t", prefer] }
        let outcome = try await get(arguments + packages, purpose: "resolve packages")
        return try records(outcome, packages)
    }

    /// Exactly these packages in exactly these versions, `name=version`.
    func records(of packages: [String]) async throws(ImagesError) -> [PackageRecord] {
        let outcome = try await get(["download", "--print-uris"] + packages, purpose: "resolve packages")
        return try records(outcome, packages)
    }

    private func records(_ outcome: ToolRunner.Outcome, _ asked: [String]) throws(ImagesError) -> [PackageRecord] {
        guard outcome.succeeded else {
            throw .packageUnavailable(
                package: asked.joined(separator: ", "), suite: suites.joined(separator: ", "), mirror: mirrorNames,
                why: outcome.lastWords)
        }
        guard let records = PackageRecord.parse(printedURIs: outcome.text), !records.isEmpty else {
            throw .packageUnavailable(
                package: asked.joined(separator: ", "), suite: suites.joined(separator: ", "), mirror: mirrorNames,
                why: "apt names no file with a SHA-256 for it")
        }
        return records.sorted { ($0.name, $0.version) < ($1.name, $1.version) }
    }

    /// Index paragraphs of the packages whose names match.
    func paragraphs(matching pattern: NamePattern) async throws(ImagesError) -> [[String: String]] {
        let listed = try await cache(["pkgnames", pattern.prefix], purpose: "list packages")
        let names = listed.text.split(separator: "\n").map(String.init).filter(pattern.matches).sorted()
        return try await paragraphs(named: names)
    }

    /// Index paragraphs of packages by name; those that the index does not hold are left out.
    func paragraphs(named names: [String]) async throws(ImagesError) -> [[String: String]] {
        guard !names.isEmpty else { return [] }
        // Some of the names are only referred to by other packages; `show` then still prints those that exist.
        let shown = try await cache(["show", "--no-all-versions"] + names, purpose: "read package indexes")
        return ControlStanzas.parse(shown.text)
    }

    /// Fetches what is not there yet; every file is checked against the index.
    ///
    /// - Returns: Paths in the order of `records`.
    func fetch(_ records: [PackageRecord]) async throws(ImagesError) -> [FilePath] {
        let digests = FileDigests(tools: tools)
        try Files.makeFolder(packageFolder)
        try await takeFromMachine(records, digests)
        var known = try await digests.digests(of: records.map(path).filter { Files.exists($0) })
        let missing = records.filter { known[path($0).string] != $0.sha256 }
        if !missing.isEmpty {
            for record in missing { try Files.removeTree(path(record)) }
            for record in missing { try await fetchFromPool(record) }
            let indexed = missing.filter { $0.path == nil }.map { "\($0.name)=\($0.version)" }
            if !indexed.isEmpty {
                // Versions may have been resolved long ago and the indexes be gone since.
                if !Files.exists(configuration) { try await update(force: true) }
                let outcome = try await get(
                    ["download"] + indexed, in: packageFolder, seconds: 1800, purpose: "fetch packages")
                guard outcome.succeeded else {
                    throw .downloadFailed(packages: missing.map(\.name), mirror: mirrorNames, why: outcome.lastWords)
                }
            }
            known = try await digests.digests(of: records.map(path).filter { Files.exists($0) })
        }
        for record in records {
            let found = known[path(record).string] ?? "that of no file"
            guard found == record.sha256 else {
                throw .checksumMismatch(path: path(record).string, expected: record.sha256, found: found)
            }
        }
        return records.map(path)
    }

    /// Fetches a package whose place in the archive is known, whether or not an index still names it; apt checks it
    /// against its SHA-256. Does nothing for others.
    private func fetchFromPool(_ record: PackageRecord) async throws(ImagesError) {
        guard let place = record.path else { return }
        if !Files.exists(configuration) { try prepareFolders() }
        let archive = mirror.uri(for: record.suite ?? suites[0])
        let outcome = try await tools.attempt(
            .aptHelper,
            [
                "-c", configuration.string, "download-file", "\(archive)/\(place)", path(record).string,
                "SHA256:\(record.sha256)",
            ], seconds: 1800, purpose: "fetch packages")
        guard outcome.succeeded else {
            throw .downloadFailed(packages: [record.name], mirror: archive, why: outcome.lastWords)
        }
    }

    private func path(_ record: PackageRecord) -> FilePath { packageFolder.appending(record.file) }

    /// Takes package files that the machine has fetched for itself. They only help; a wrong one is passed over.
    private func takeFromMachine(_ records: [PackageRecord], _ digests: FileDigests) async throws(ImagesError) {
        let machine = FilePath("/var/cache/apt/archives")
        let there = records.filter {
            !Files.exists(path($0)) && FileManager.default.isReadableFile(atPath: machine.appending($0.file).string)
        }
        guard !there.isEmpty else { return }
        let known = try await digests.digests(of: there.map { machine.appending($0.file) })
        for record in there where known[machine.appending(record.file).string] == record.sha256 {
            try Files.copy(machine.appending(record.file), to: path(record))
        }
    }

    private func get(
        _ arguments: [String], in folder: FilePath? = nil, seconds: Int64 = 600, purpose: String
    ) async throws(ImagesError) -> ToolRunner.Outcome {
        try await tools.attempt(
            .aptGet, ["-q", "-c", configuration.string] + arguments, in: folder, seconds: seconds, purpose: purpose)
    }

    private func cache(_ arguments: [String], purpose: String) async throws(ImagesError) -> ToolRunner.Outcome {
        try await tools.attempt(.aptCache, ["-q", "-c", configuration.string] + arguments, purpose: purpose)
    }

    private func prepareFolders() throws(ImagesError) {
        for folder in ["etc/preferences.d", "state/lists/partial", "cache/archives/partial", "dpkg"] {
            try Files.makeFolder(root.appending(folder))
        }
        let status = root.appending("dpkg/status")
        try Files.write("", to: status)
        let signed = mirror.keyrings.isEmpty ? "" : "[signed-by=\(mirror.keyrings.joined(separator: ","))] "
        let sources = suites.map { "deb \(signed)\(mirror.uri(for: $0)) \($0) main\n" }.joined()
        try Files.write(sources, to: root.appending("etc/sources.list"))
        try Files.write(Self.configurationText(root: root.string), to: configuration)
    }

    /// Given with `-c`, which apt reads last: the machine's proxy and transport settings stay, its sources, pins and
    /// hooks (some images delete fetched packages in one) do not.
    static func configurationText(root: String) -> String {
        """
        #clear APT::Update::Pre-Invoke;
        #clear APT::Update::Post-Invoke;
        #clear APT::Update::Post-Invoke-Success;
        #clear DPkg::Pre-Install-Pkgs;
        #clear DPkg::Pre-Invoke;
        #clear DPkg::Post-Invoke;
        #clear APT::Default-Release;
        Dir::State "\(root)/state";
        Dir::State::lists "\(root)/state/lists";
        Dir::State::status "\(root)/dpkg/status";
        Dir::State::extended_states "\(root)/state/extended_states";
        Dir::Cache "\(root)/cache";
        Dir::Cache::archives "\(root)/cache/archives";
        Dir::Etc::sourcelist "\(root)/etc/sources.list";
        Dir::Etc::sourceparts "-";
        Dir::Etc::preferences "\(root)/etc/preferences";
        Dir::Etc::preferencesparts "\(root)/etc/preferences.d";
        APT::Architecture "amd64";
        APT::Architectures { "amd64"; };
        APT::Install-Recommends "false";
        APT::Install-Suggests "false";
        // The cache lies in the user's home, where apt's own download user may not go.
        APT::Sandbox::User "root";
        // Old suites are wanted here, and an archived suite's index has expired by nature; signatures still hold.
        Acquire::Check-Valid-Until "false";
        Acquire::ForceHash "SHA256";
        Acquire::Languages "none";
        Acquire::Retries "2";
        Acquire::http::Timeout "20";
        Acquire::https::Timeout "20";
        """ + "\n"
    }
}

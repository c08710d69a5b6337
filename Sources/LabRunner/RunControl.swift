public import CRModel
import Foundation
import LabClassify
public import LabImages
public import LabScenario
public import LabStore
public import Logging
public import SystemPackage

/// Creates runs, goes on with killed ones, and reads finished ones.
public struct RunControl: Sendable {
    let installation: Installation

    public init(installation: Installation) {
        self.installation = installation
    }

    /// A scenario checked against the workloads and recipes that this crlab has.
    public func scenario(at path: FilePath) throws -> Scenario {
        let text: String
        do {
            text = try String(contentsOfFile: path.string, encoding: .utf8)
        } catch {
            throw RunnerError.scenarioUnreadable(path: path.string, why: error.localizedDescription)
        }
        let recipes = try RecipeBook(folder: installation.recipes)
        var catalogue = Catalogue(
            workloads: installation.workloadNames().map { WorkloadName($0) }, sets: installation.workloadSets(),
            runtimes: [.native] + recipes.runtimes.keys.sorted().map { RuntimeName($0) },
            kernels: recipes.kernels.keys.sorted(), userlands: recipes.userlands.keys.sorted())
        catalogue.qemus = recipes.qemus.keys.sorted()
        catalogue.families = ImageLibrary.membersSeen(.fromEnvironment(recipes: installation.recipes), recipes)
        catalogue.mayBeKernel = { recipes.mayBeMember($0) }
        return try Scenario.parse(text, file: path.string, catalogue: catalogue)
    }

    /// The same, after asking the mirror which kernels there are where a pattern of the scenario needs to know.
    public func scenario(
        at path: FilePath, logger: Logger, progress: @escaping @Sendable (ImagesProgress) -> Void
    ) async throws -> Scenario {
        do {
            return try scenario(at: path)
        } catch ScenarioError.familyUnseen(_, let family) {
            let library = try ImageLibrary(
                configuration: .fromEnvironment(recipes: installation.recipes), logger: logger, progress: progress)
            _ = try await library.members(of: family)
            return try scenario(at: path)
        }
    }

    /// The plan of a scenario as of today.
    public func plan(_ scenario: Scenario, only: [String]) throws -> Plan {
        try Plan(
            scenario, today: Self.today, only: only.map { text throws in try CellSelection(parsing: text) })
    }

    /// Starts a run: its folder, its store, and `Reports/latest`.
    ///
    /// - Parameters:
    ///   - folder: The run's own folder; `nil` for `Reports/<run id>`.
    ///   - imageStore: A folder in which runs keep their images together; `nil` for one of the run's own.
    ///   - confirm: Which failures the run repeats; `nil` for none.
    ///   - part: Which part of the plan the run is to do, and what that is; `nil` for all of it.
    public func create(
        _ plan: Plan, file: FilePath, only: [String], folder: FilePath?, accelerator: String, qemuVersion: String,
        part: (shard: Shard, plan: Plan)? = nil, imageStore: FilePath? = nil, confirm: ConfirmPolicy? = nil
    ) throws -> (store: RunStore, folder: FilePath) {
        let id = Self.newIdentifier(scenario: plan.scenario.name)
        let place = folder.map(Self.absolute) ?? installation.reports.appending(id)
        let store = try RunStore.create(
            at: place.string,
            run: RunDescription(
                id: id, scenarioName: plan.scenario.name, title: plan.scenario.title,
                scenarioText: plan.scenario.text, scenarioFile: Self.absolute(file).string, only: only,
                workloads: plan.scenario.workloads, startedAt: Date.now.ISO8601Format(),
                crlabVersion: CrlabVersion.current, accelerator: accelerator, qemuVersion: qemuVersion,
                names: plan.scenario.names,
                imageStore: imageStore.map { Self.absolute($0).string }, shard: part?.shard,
                wholePlanHash: try part.map { _ in try Self.stored(plan).hash() }, confirm: confirm),
            plan: Self.stored(part?.plan ?? plan))
        try makeWorkFolders(in: place)
        if folder == nil { pointLatest(at: id) }
        return (store, place)
    }

    private static func stored(_ plan: Plan) -> RunPlan {
        RunPlan(
            hosts: plan.hosts,
            cells: plan.cells.map { RunPlan.PlannedCell(cell: $0.cell, expectation: $0.expectation) })
    }

    private static func newIdentifier(scenario: String) -> String {
        RunIdentifier.make(
            scenario: scenario, secondsSince1970: Int64(Date.now.timeIntervalSince1970),
            random: UInt16.random(in: 0...UInt16.max))
    }

    /// Makes one run of the runs of all shards.
    ///
    /// - Parameter folder: The new run's own folder; `nil` for `Reports/<run id>`.
    public func merge(_ names: [String], folder: FilePath?) async throws -> FilePath {
        let merge = try RunMerge(
            folders: try names.map { name throws(RunnerError) in try self.folder(ofRun: name).string })
        let id = Self.newIdentifier(scenario: merge.scenarioName)
        let place = folder.map(Self.absolute) ?? installation.reports.appending(id)
        try await merge.write(to: place.string, id: id, runName: folder == nil ? id : place.string)
        if folder == nil { pointLatest(at: id) }
        return place
    }

    /// Opens a run that was not finished, with the plan it was started with.
    ///
    /// - Parameter name: A run identifier or folder; `nil` for the newest run.
    public func reopen(_ name: String?) throws -> (store: RunStore, plan: Plan, folder: FilePath) {
        let place = try folder(ofRun: name)
        let store = try RunStore.open(at: place.string)
        var plan = try plan(of: store.run, only: store.run.only)
        // Which part a shard is was worked out when it started, with the costs of then.
        if store.run.shard != nil { plan = plan.keeping(Set(store.plan.cells.map(\.cell))) }
        guard try Self.stored(plan).hash() == store.plan.hash() else {
            throw RunnerError.notResumable(run: store.run.id, why: "this crlab plans its scenario differently")
        }
        try makeWorkFolders(in: place)
        return (store, plan, place)
    }

    /// Plans again what an earlier run planned, or a part of it.
    public func plan(
        ofRun name: String?, only: [String]
    ) throws -> (plan: Plan, file: FilePath, accelerator: String) {
        let run = try RunReader.open(at: try folder(ofRun: name).string).run
        return (try plan(of: run, only: only), FilePath(run.scenarioFile), run.accelerator)
    }

    /// The plan as it was on the day of the run: with its workloads and the expectations that counted then.
    private func plan(of run: RunDescription, only: [String]) throws -> Plan {
        let catalogue: Catalogue
        if let names = run.names {
            catalogue = Catalogue(names: names)
        } else {
            // A run of before names were kept: whatever sets its text names, together they were these.
            let sets = Dictionary(uniqueKeysWithValues: Catalogue.setNames.map { ($0, run.workloads) })
            catalogue = Catalogue(workloads: run.workloads, sets: sets)
        }
        let scenario = try Scenario.parse(run.scenarioText, file: run.scenarioFile, catalogue: catalogue)
        let day = CalendarDate(String(run.startedAt.prefix(10)))
        return try Plan(
            scenario, today: day ?? Self.today, only: only.map { text throws in try CellSelection(parsing: text) })
    }

    private static var today: CalendarDate { CalendarDate(secondsSince1970: Int64(Date.now.timeIntervalSince1970)) }

    /// What cells cost by the results of a run.
    ///
    /// - Parameter name: A run identifier or folder, or a file `results.json`.
    public func costs(measuredIn name: String) throws -> Costs { Costs(measuredIn: try results(named: name)) }

    /// How the cells of an earlier run ended, by their identifiers.
    ///
    /// - Parameter name: A run identifier or folder, or a file `results.json`.
    public func outcomes(of name: String) throws -> [String: Outcome] {
        let cells = try results(named: name).cells
        return Dictionary(cells.compactMap { cell in cell.outcome.map { (cell.cell.id, $0) } }) { first, _ in first }
    }

    private func results(named name: String) throws -> Results {
        let file = name.hasSuffix(".json") ? FilePath(name) : try folder(ofRun: name).appending("results.json")
        do {
            let text = try String(contentsOfFile: file.string, encoding: .utf8)
            return try JSONCoder.decode(Results.self, from: text)
        } catch {
            throw RunnerError.fileFailed(path: file.string, why: "\(error)")
        }
    }

    /// What cells cost on this machine: measured in the newest run, or as documented when there is none.
    public func measuredCosts() -> Costs {
        guard let folder = try? folder(ofRun: nil), let results = try? results(of: folder) else { return .documented }
        return Costs(measuredIn: results)
    }

    /// The folder of a run.
    ///
    /// - Parameter name: An identifier below `Reports/`, a folder, or `nil` for the newest run.
    public func folder(ofRun name: String?) throws(RunnerError) -> FilePath {
        let candidates: [FilePath] =
            if let name { [installation.reports.appending(name), FilePath(name)] } else {
                [installation.reports.appending("latest")]
            }
        for candidate in candidates
        where FileManager.default.fileExists(atPath: candidate.appending("run.sqlite").string) {
            // Not the link `latest`, which moves when another run starts.
            return FilePath(URL(filePath: candidate.string).resolvingSymlinksInPath().path(percentEncoded: false))
        }
        throw .unknown(kind: "run", name: name ?? "latest", known: knownRuns())
    }

    /// The results of a run as far as it went, with what its own matrix proves.
    public func results(of folder: FilePath) throws -> Results {
        Self.corroborated(try RunReader.open(at: folder.string).results())
    }

    /// One cell of a run with the results that it belongs to.
    public func cell(_ id: String, of folder: FilePath) throws -> (results: Results, cell: CellResult) {
        let results = try results(of: folder)
        guard let cell = results.cells.first(where: { $0.cell.id == id }) else {
            throw RunnerError.unknown(kind: "finished cell", name: id, known: results.cells.map(\.cell.id))
        }
        return (results, cell)
    }

    /// Raises the confidence of findings that other cells of the same run bear out.
    public static func corroborated(_ results: Results) -> Results {
        var results = results
        var judged: [Cell: Judgement] = [:]
        for result in results.cells {
            judged[result.cell] = Judgement(
                outcome: result.outcome, stage: result.stage, health: result.health, finding: result.finding)
        }
        let hosts = results.hosts.compactMapValues(\.fingerprint)
        let raised = corroborate(judged, hosts: hosts)
        for index in results.cells.indices {
            results.cells[index].finding = raised[results.cells[index].cell]?.finding
        }
        return results
    }

    private func knownRuns() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: installation.reports.string)) ?? []
        return names.filter {
            $0 != "latest"
                && FileManager.default.fileExists(
                    atPath: installation.reports.appending($0).appending("run.sqlite").string)
        }.sorted().reversed()
    }

    private func makeWorkFolders(in folder: FilePath) throws(RunnerError) {
        // What a killed execution left half carried is worthless.
        try? FileManager.default.removeItem(atPath: folder.appending("tmp").string)
        for name in ["tmp", "console"] {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder.appending(name).string, withIntermediateDirectories: true)
            } catch {
                throw .fileFailed(path: folder.appending(name).string, why: error.localizedDescription)
            }
        }
    }

    private func pointLatest(at id: String) {
        let link = installation.reports.appending("latest").string
        let fresh = link + ".\(id)"
        // A rename replaces the old link at once, so that a reader never finds none.
        try? FileManager.default.createSymbolicLink(atPath: fresh, withDestinationPath: id)
        if rename(fresh, link) != 0 { try? FileManager.default.removeItem(atPath: fresh) }
    }

    static func absolute(_ path: FilePath) -> FilePath {
        path.isAbsolute ? path : FilePath(FileManager.default.currentDirectoryPath).pushing(path)
    }
}

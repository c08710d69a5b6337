import CRModel
import LabImages
import LabRunner
import LabScenario
import LabStore
import LabVM
import Logging
import SystemPackage

/// A run from the command's side: session, progress, and the reports at the end.
struct RunJob: Sendable {
    let options: RunOptions
    let guests: GuestOptions
    let progress = ProgressPrinter()

    func start(
        _ file: FilePath, only: [String], folder: FilePath?, cut: ShardOptions, imageStore: FilePath?,
        confirm: Int? = nil, baseline: String? = nil
    ) async throws -> (Results, FilePath) {
        try await RunDeadline.within(options.deadline) {
            try await make(
                file, only: only, folder: folder, cut: cut, imageStore: imageStore, confirm: confirm,
                baseline: baseline)
        }
    }

    private func make(
        _ file: FilePath, only: [String], folder: FilePath?, cut: ShardOptions, imageStore: FilePath?, confirm: Int?,
        baseline: String?
    ) async throws -> (Results, FilePath) {
        let control = RunControl(installation: try .find())
        // The scenario is checked before anything is fetched or booted.
        let plan = try control.plan(try await scenario(at: file, control), only: only)
        let part = try cut.part(of: plan, control)
        let policy = ConfirmPolicy(
            times: confirm ?? plan.scenario.confirm, known: try baseline.map { try control.outcomes(of: $0) } ?? [:])
        let session = try await openSession()
        let (store, place) = try control.create(
            plan, file: file, only: only, folder: folder, accelerator: session.lab.accelerator.rawValue,
            qemuVersion: session.lab.qemuVersion, part: part, imageStore: imageStore,
            confirm: policy.times > 0 ? policy : nil)
        return try await execute(part?.plan ?? plan, store: store, folder: place, control: control, session: session)
    }

    private func scenario(at file: FilePath, _ control: RunControl) async throws -> Scenario {
        try await control.scenario(at: file, logger: Logger(label: "crlab")) { progress.show(.images($0)) }
    }

    /// Repeats one cell of an earlier run with the scenario as that run had it.
    func `repeat`(cell: String, ofRun name: String?, folder: FilePath?) async throws -> (Results, FilePath) {
        let control = RunControl(installation: try .find())
        let (plan, file, accelerator) = try control.plan(ofRun: name, only: [cell])
        let session = try await openSession(like: accelerator)
        let (store, place) = try control.create(
            plan, file: file, only: [cell], folder: folder, accelerator: session.lab.accelerator.rawValue,
            qemuVersion: session.lab.qemuVersion)
        return try await execute(plan, store: store, folder: place, control: control, session: session)
    }

    func resume(_ name: String?) async throws -> (Results, FilePath) {
        let control = RunControl(installation: try .find())
        let (store, plan, place) = try control.reopen(name)
        return try await RunDeadline.within(options.deadline) {
            let session = try await openSession(like: store.run.accelerator)
            return try await execute(plan, store: store, folder: place, control: control, session: session)
        }
    }

    /// - Parameter recorded: The accelerator of the run that goes on or is repeated: another one would be another experiment.
    private func openSession(like recorded: String? = nil) async throws -> LabSession {
        let choice = guests.accelerator ?? recorded.flatMap(AcceleratorChoice.init(rawValue:)) ?? .auto
        return try await LabSession.open(accelerator: choice, cold: guests.cold, logger: Logger(label: "crlab")) {
            event in
            progress.show(.images(event))
        }
    }

    private func execute(
        _ plan: Plan, store: RunStore, folder: FilePath, control: RunControl, session: LabSession
    ) async throws -> (Results, FilePath) {
        progress.show(
            .started(
                id: store.run.id, folder: folder.string, cells: plan.cells.count,
                finished: try await store.finishedCells().count, hosts: plan.hosts.count))
        for note in plan.notes { progress.show(.note(note)) }
        do {
            // A deadline of the command's own counts from its start, and takes the place of the scenario's.
            try await RunDeadline.within(options.deadline == nil ? plan.scenario.timeouts.run : nil) {
                try await run(plan, store: store, folder: folder, session: session)
            }
        } catch {
            // What was finished is worth a report, and the run can go on later.
            progress.end()
            try? await store.close()
            try? ReportFiles.write(try control.results(of: folder), to: folder)
            throw error
        }
        progress.end()
        try await store.close()
        let results = try control.results(of: folder)
        try ReportFiles.write(results, to: folder)
        return (results, folder)
    }

    private func run(_ plan: Plan, store: RunStore, folder: FilePath, session: LabSession) async throws {
        let runtimes = await session.preparation.prepare(runtimes: plan.scenario.runtimes)
        let hosts = await session.preparation.prepare(
            plan.hosts, kernels: plan.scenario.kernels, userlands: plan.scenario.userlands, runtimes: runtimes,
            relativeTo: FilePath(plan.scenario.file).removingLastComponent(), lab: session.lab)
        let runner = Runner(
            plan: plan, store: store, hosts: hosts, runtimes: runtimes, options: options, folder: folder.string
        ) { event in
            progress.show(event)
        }
        try await runner.run()
    }
}

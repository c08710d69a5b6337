internal import CRImage
internal import CRModel
internal import LinuxKit

/// What to dump and how.
public struct DumpOptions: Sendable {
    /// The root process; its descendants come with it.
    public var pid: Int32
    /// Let the workload run on after a successful dump instead of ending it.
    public var leaveRunning = false
    /// Version to write into the image.
    public var engineVersion: String
    /// The container spec that the workload runs under, as JSON text; empty for none.
    public var spec = ""
    /// What comes from outside at the restore: `mnt[/dev]` to the name under which it is mapped then.
    public var externals: [String: String] = [:]
    /// How long one task may take to stop.
    public var stopSeconds = 10.0
    /// What happens to TCP connections.
    public var tcp = TCPConnections.keep

    public init(pid: Int32, engineVersion: String) {
        self.pid = pid
        self.engineVersion = engineVersion
    }
}

/// What a dump did.
public struct DumpReport: Sendable, Hashable {
    /// PID of the root process, as the engine sees it.
    public var pid: Int32
    public var tasks: Int
    public var processes: Int
    public var pages: Int
    public var imageBytes: UInt64
    /// Phase to duration: `freeze`, `collect`, `pages`, `end`, and `frozen`, the time from the first task's stop until
    /// all ran again or were gone.
    public var milliseconds: [String: Double]
    /// What the image or this host could not keep, one sentence each.
    public var notes: [String] = []
}

/// Dumps task trees.
public enum Dump {
    /// Freezes the tree of `options.pid`, writes its image to `output`, and ends it (or lets it run on).
    ///
    /// Whatever fails, and also after SIGTERM, SIGINT or SIGHUP, the workload runs on as before; it is ended only after
    /// the whole image was written. All of it happens on the calling thread, with those signals, SIGCHLD, SIGPIPE and
    /// SIGXFSZ blocked meanwhile.
    ///
    /// - Parameters:
    ///   - output: A descriptor, which stays open. Nothing is sought, so a pipe or a socket will do.
    ///   - place: Its name for errors.
    ///   - commit: Called when the whole image is written and the workload has not been ended yet.
    /// - Throws: `EngineError.refused` when the tree holds something that an image cannot.
    public static func run(
        _ options: DumpOptions, to output: Int32, place: String,
        commit: () throws(EngineError) -> Void = { () throws(EngineError) in }
    ) throws(EngineError) -> DumpReport {
        let ending = [Signals.terminate, Signals.interrupt, Signals.hangup]
        // A closed pipe is reported as EPIPE, a file beyond RLIMIT_FSIZE as EFBIG.
        let reported = [Signals.pipe, Signals.fileSize]
        let mask = try EngineError.wrap("block signals") { () throws(LinuxError) in
            try Signals.block(ending + [Signals.child] + reported)
        }
        defer {
            // Their signals must not end the engine when the mask is lifted.
            while Signals.take(Signals.mask(reported) & ~mask, timeoutNanoseconds: 0) != nil {}
            try? Signals.setMask(mask)
        }
        let wakeups = Signals.mask(ending)
        // Before the freeze: it takes longer than many dumps.
        let fingerprint = try text(of: Host.fingerprint(runtimes: ["native": options.engineVersion]))

        let gate = ConnectionGate()
        defer { gate.open() }
        while true {
            do throws(EngineError) {
                return try attempt(options, fingerprint, wakeups, gate, to: output, place: place, commit: commit)
            } catch {
                guard gate.mayRetry(wakeups) else { throw error }
            }
        }
    }

    /// One freeze and what follows; nothing is written before everything but the pages is known.
    private static func attempt(
        _ options: DumpOptions, _ fingerprint: String, _ wakeups: UInt64, _ gate: ConnectionGate, to output: Int32,
        place: String, commit: () throws(EngineError) -> Void
    ) throws(EngineError) -> DumpReport {
        let tree = FrozenTree(wakeups: wakeups, stopSeconds: options.stopSeconds)
        let collector = DumpCollector(
            tree: tree, wakeups: wakeups, tcp: options.tcp, keepsRunning: options.leaveRunning, gate: gate)
        var clock = PhaseClock()
        do throws(EngineError) {
            defer { collector.close() }
            try tree.freeze(root: options.pid)
            clock.end("freeze")
            try FaultPoint.dumpFrozen.reach()
            collector.externals = options.externals
            try collector.collect()
            if !options.leaveRunning { try collector.refuseStrays() }
            collector.contents.header = header(options, fingerprint, root: collector.inner(options.pid))
            collector.readClocks(of: collector.subject(of: options.pid))
            try collector.findInherited()
            try check(collector.contents)
            clock.end("collect")
            try FaultPoint.dumpCollected.reach()
            let written = try write(collector, to: output, wakeups, place: place)
            clock.end("pages")
            try FaultPoint.dumpWritten.reach()
            var report = DumpReport(
                pid: options.pid, tasks: tree.tasks.count, processes: tree.processes.count, pages: written.pages,
                imageBytes: written.bytes, milliseconds: [:])
            if !options.leaveRunning { try collector.network.confirm() }
            try commit()
            try FaultPoint.dumpCommitted.reach()
            // From here on there is no way back: the image is whole.
            if options.leaveRunning {
                collector.network.release()
                tree.release()
            } else {
                try collector.network.hold()
                collector.network.commit()
                tree.bind()
                collector.disownChildren()
                try tree.kill()
            }
            clock.end("end")
            report.notes = collector.network.notes
            report.milliseconds = clock.phases
            report.milliseconds["frozen"] = clock.phases.values.reduce(0, +)
            return report
        } catch {
            collector.removeNames()
            tree.release()
            throw error
        }
    }

    private static func header(_ options: DumpOptions, _ fingerprint: String, root: Int32) -> ImageHeader {
        var header = ImageHeader()
        header.engineVersion = options.engineVersion
        header.fingerprint = fingerprint
        header.spec = options.spec
        header.root = root
        header.kernelRelease = Host.kernelName().release
        header.xcr0 = CPUID.xcr0
        header.xstateBytes = UInt32(CPUID.xstateBytes)
        header.xstateComponents = RestorePreflight.destinationLayout().sorted { $0.key < $1.key }.map {
            StateComponent(number: $0.key, offset: $0.value.offset, sizeBytes: $0.value.sizeBytes).packed
        }
        header.realtimeNanoseconds = MonotonicClock.nanoseconds(of: 0)
        header.monotonicNanoseconds = MonotonicClock.nanoseconds(of: 1)
        header.boottimeNanoseconds = MonotonicClock.nanoseconds(of: 7)
        return header
    }

    private static func text(of fingerprint: HostFingerprint) throws(EngineError) -> String {
        do {
            return try JSONCoder.text(of: fingerprint)
        } catch {
            throw .image("fingerprint", why: "\(error)")
        }
    }

    /// A dump that no reader would accept must fail while the workload still lives.
    private static func check(_ contents: ImageContents) throws(EngineError) {
        do {
            try contents.validate()
        } catch {
            throw .image("new image", why: error.explanation.why + " (\(error.explanation.place))")
        }
        // Nor may a tree be ended that no restore can build.
        _ = try RelationPlan(contents)
        if let refusal = RestorePreflight.unrestorable(contents) { throw .refused(refusal) }
    }

    private static func write(
        _ collector: DumpCollector, to output: Int32, _ wakeups: UInt64, place: String
    ) throws(EngineError) -> (pages: Int, bytes: UInt64) {
        let sink = try EngineError.wrap("start the writing thread") { () throws(LinuxError) in
            try DumpSink(fd: output, wakeups: wakeups)
        }
        let pages = DumpPages(sink) { () throws(EngineError) in try collector.checkInterruption() }
        do throws(DumpFailure) {
            var writer: ImageWriter<DumpSink>
            do throws(ImageError) {
                writer = try ImageWriter(to: sink)
                for record in collector.contents.records { try writer.write(record) }
                try writer.endMetadata()
                try sink.takeOver(writer.ledger)
            } catch {
                throw .image(error)
            }
            do throws(EngineError) { try FaultPoint.dumpMetadata.reach() } catch { throw .engine(error) }
            for space in collector.spaces where !space.early.isEmpty { try pages.add(space, early: true) }
            for space in collector.spaces { try pages.add(space) }
            for content in collector.contentFiles { try pages.add(content) }
            do throws(ImageError) {
                writer.ledger = try sink.giveBack()
                try writer.finish()
                try sink.flush()
            } catch {
                throw .image(error)
            }
            return (writer.ledger.pageCount, writer.byteCount)
        } catch {
            switch error {
            case .engine(let error): throw error
            case .image(let error):
                if let interruption = FrozenTree.interruption(wakeups) { throw interruption }
                if let errno = sink.failure { throw .output(place, errno) }
                if let failure = sink.readFailure { throw .system(failure, task: nil, doing: "read the pages") }
                throw .image(place, why: error.explanation.why)
            }
        }
    }
}

/// Durations of phases that follow each other.
struct PhaseClock {
    private(set) var phases: [String: Double] = [:]
    private var last = MonotonicClock.nanoseconds()

    mutating func end(_ phase: String) {
        let now = MonotonicClock.nanoseconds()
        phases[phase] = Double(now - last) / 1e6
        last = now
    }
}

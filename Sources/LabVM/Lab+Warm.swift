import CRModel
import GuestWire

/// What is asked for when a guest is started.
struct GuestStart: Sendable {
    var arguments: QEMUArguments
    var consoleFile: String?
    var bootSeconds: Double
}

/// A guest that takes requests.
struct StartedGuest: Sendable {
    var connection: GuestConnection
    var ready: Ready
    var milliseconds: Int
    var origin: Guest.Origin
}

/// Warm hosts: a template is booted once, and every later guest of the same host is a clone of it.
extension Lab {
    /// Enough for a clone on a machine that does ten other things; on a quiet one it takes 0.13 s.
    private static let cloneSeconds = 20.0

    /// Starts a guest: as a clone where that works, else by booting.
    func start(_ asked: GuestStart) async throws(VMError) -> StartedGuest {
        guard let templates, let key = templateKey(asked.arguments) else { return try await boot(asked, .boot) }
        if templates.givenUp(key) {
            return try await boot(asked, .bootInstead(why: "clones of this host failed before"))
        }
        do throws(VMError) {
            let (template, isNew) = try await template(key, asked, in: templates)
            let clone = try await clone(template, asked, in: templates)
            return StartedGuest(
                connection: clone.connection, ready: template.ready, milliseconds: clone.milliseconds,
                origin: .clone(templateMilliseconds: isNew ? template.bootMilliseconds : nil))
        } catch {
            switch error {
            case .cancelled: throw error
            // The template's own boot came to nothing: booting once more would say the same.
            case .silent, .bootTimedOut, .panicked, .versionMismatch: throw error
            default: templates.noteFailure(key)
            }
            await Self.blocking { templates.remove(key) }
            return try await boot(asked, .bootInstead(why: error.explanation.line))
        }
    }

    private func boot(_ asked: GuestStart, _ origin: Guest.Origin) async throws(VMError) -> StartedGuest {
        var started = try await launch(asked, words: asked.arguments.words, .boot)
        started.origin = origin
        return started
    }

    private func clone(
        _ template: Template, _ asked: GuestStart, in templates: TemplateStore
    ) async throws(VMError) -> StartedGuest {
        let place = templates.place(template.key)
        var arguments = asked.arguments
        arguments.memory = .clone(place.memory)
        var asked = asked
        asked.bootSeconds = min(asked.bootSeconds, Self.cloneSeconds)
        do throws(VMError) {
            return try await launch(asked, words: arguments.words, .clone(state: place.state, ready: template.ready))
        } catch {
            if case .cancelled = error { throw error }
            throw .cloneFailed(host: arguments.spec.name, why: error.explanation.line)
        }
    }

    /// The template of a key, made if there is none.
    private func template(
        _ key: String, _ asked: GuestStart, in templates: TemplateStore
    ) async throws(VMError) -> (Template, isNew: Bool) {
        if let found = await Self.blocking({ templates.find(key) }) { return (found, false) }
        let lock = await Self.blocking { templates.lock(key) }
        defer { Descriptor.close(lock) }
        guard lock >= 0 else {
            throw .fileFailed(path: templates.folder, action: "lock a template", why: "the folder cannot be used")
        }
        // Somebody else may have made it while this one waited for the lock.
        if let found = await Self.blocking({ templates.find(key) }) { return (found, false) }
        let part = try templates.prepare(key, memoryMebibytes: asked.arguments.spec.memoryMebibytes)
        var arguments = asked.arguments
        arguments.memory = .template(part.memory)
        var settings = asked
        settings.consoleFile = part.console
        do throws(VMError) {
            let booted = try await launch(settings, words: arguments.words, .boot)
            let frozen = await booted.connection.freeze(to: part.state)
            await booted.connection.stop()
            try frozen.get()
            return (try await publish(key, part, booted, in: templates), true)
        } catch {
            await Self.blocking { templates.discard(part) }
            throw error
        }
    }

    private func publish(
        _ key: String, _ part: Template.Place, _ booted: StartedGuest, in templates: TemplateStore
    ) async throws(VMError) -> Template {
        let made = await Self.blocking { () -> Result<Template, VMError> in
            do throws(VMError) {
                return .success(
                    try templates.publish(key, part, ready: booted.ready, bootMilliseconds: booted.milliseconds))
            } catch {
                return .failure(error)
            }
        }
        return try made.get()
    }

    /// Starts QEMU and waits until the guest takes requests.
    private func launch(
        _ asked: GuestStart, words: [String], _ start: GuestLoop.Start
    ) async throws(VMError) -> StartedGuest {
        let settings = GuestLoop.Settings(
            words: words, start: start, consoleFile: asked.consoleFile, bootSeconds: asked.bootSeconds,
            silenceSeconds: Self.silenceSeconds, diskIdentity: asked.arguments.images.diskIdentity,
            tscKilohertz: accelerator == .tcg ? tscKilohertz : 0, sysctl: asked.arguments.spec.sysctl)
        // A socket and not a pipe: waking a thread that has just ended must not raise SIGPIPE.
        let pipe = try Descriptor.socketPair()
        Descriptor.setNonBlocking(pipe.ours)
        Descriptor.setNonBlocking(pipe.theirs)
        let connection = GuestConnection(host: asked.arguments.spec.name, wakeWrite: pipe.theirs)
        let began = Descriptor.seconds()
        guard OSThread.start({ GuestLoop(connection, settings, wakeRead: pipe.ours).run() }) else {
            Descriptor.close(pipe.ours)
            throw .launchFailed(path: qemu.executable, why: "no thread can be started")
        }
        switch await connection.ready() {
        case .success(let ready):
            return StartedGuest(
                connection: connection, ready: ready, milliseconds: Int((Descriptor.seconds() - began) * 1000),
                origin: .boot)
        case .failure(let error):
            await connection.stop()
            throw error
        }
    }

    /// Everything that makes a template another one; `nil` where this lab does not clone.
    ///
    /// Only under TCG, where it was measured; and QEMU reads and writes `file:` from 8.2 on. The boot of the lab machine
    /// is part of it because the guest's clock goes on from that machine's.
    private func templateKey(_ arguments: QEMUArguments) -> String? {
        let version = qemuVersion.split(separator: ".").prefix(2).compactMap { Int($0) }
        guard accelerator == .tcg, version.count == 2, (version[0], version[1]) >= (8, 2) else { return nil }
        var spec = arguments.spec
        spec.name = "template"
        let images = arguments.images
        let files = [qemu.executable, images.kernel, images.initramfs, images.disk, images.runtimeDisk].map { path in
            path.flatMap { FileMark($0) }
        }
        guard let specText = try? JSONCoder.text(of: spec), let fileText = try? JSONCoder.text(of: files) else {
            return nil
        }
        let boot = Descriptor.text(of: "/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" }
        return
            ([
                "format \(Template.format), protocol \(GuestProtocol.version), boot \(boot)",
                "QEMU \(qemuVersion) \(qemu.executable)",
                specText, fileText, images.diskIdentity,
            ] + arguments.machineWords).joined(separator: "\n")
    }

    /// Runs what waits for files or locks off the pool that `async` code shares.
    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            if !OSThread.start({ continuation.resume(returning: body()) }) { continuation.resume(returning: body()) }
        }
    }
}

public import CRModel

/// Why a guest could not be had or was lost. Never an outcome: every case becomes a ``LabFailure``.
public enum VMError: Explained, Equatable {
    /// The accelerator cannot give this CPU in full.
    case notEmulable(cpu: String, accelerator: String, missing: [String])
    /// QEMU has no such CPU model.
    case cpuUnknown(cpu: String)
    case acceleratorUnavailable(accelerator: String, why: String)
    /// QEMU could not be started at all.
    case launchFailed(path: String, why: String)
    /// QEMU ended by itself; `booted` when the agent had been ready.
    case exitedEarly(host: HostName, status: String, errors: String, booted: Bool, console: String)
    /// The guest kernel panicked; `booted` when the agent had been ready.
    case panicked(host: HostName, message: String, booted: Bool, console: String)
    /// The guest lives and its agent has said nothing for too long.
    case hung(host: HostName, seconds: Double, console: String)
    /// Nothing came from the guest at all, not even on its console.
    case silent(host: HostName, seconds: Double)
    /// The guest printed on its console and never answered.
    case bootTimedOut(host: HostName, seconds: Double, console: String)
    /// The agent's end of the channel was closed, or the agent died.
    case agentDied(host: HostName, why: String, console: String)
    /// Bytes on the channel that are no frame, or a message that is none.
    case garbled(host: HostName, why: String, console: String)
    case versionMismatch(host: HostName, theirs: Int, ours: Int)
    /// A clone of a template did not come to life, or a template could not be made.
    case cloneFailed(host: HostName, why: String)
    /// A request was not answered in time.
    case deadline(host: HostName, request: String, seconds: Double, console: String)
    /// The agent could not do what was asked, and says why.
    case refusedByAgent(host: HostName, request: String, failure: AgentReason)
    /// Settings of the running kernel that the scenario asks for could not be made.
    case settingsRefused(host: HostName, why: String)
    case fileFailed(path: String, action: String, why: String)
    case cancelled(host: HostName)

    /// What the agent said.
    public struct AgentReason: Sendable, Equatable {
        public var reason: Reason
        public var message: String

        public init(reason: Reason, message: String) {
            self.reason = reason
            self.message = message
        }
    }

    public var explanation: Explanation {
        switch self {
        case .notEmulable, .cpuUnknown, .acceleratorUnavailable, .launchFailed, .fileFailed:
            machineExplanation
        case .exitedEarly, .panicked, .hung, .silent, .bootTimedOut, .cloneFailed:
            guestExplanation
        case .agentDied, .garbled, .versionMismatch, .deadline, .refusedByAgent, .settingsRefused, .cancelled:
            channelExplanation
        }
    }

    private var machineExplanation: Explanation {
        switch self {
        case .notEmulable(let cpu, let accelerator, let missing):
            Explanation(
                what: "not emulable here", at: cpu, why: "\(accelerator) lacks \(missing.joined(separator: ", "))",
                next: "write '\(cpu),reduced' to have it without them; crlab hosts cpus lists what each model loses")
        case .cpuUnknown(let cpu):
            Explanation(
                what: "no such CPU model", at: cpu, why: "this QEMU does not know it", next: "see qemu -cpu help")
        case .acceleratorUnavailable(let accelerator, let why):
            Explanation(what: "accelerator not usable", at: accelerator, why: why, next: "use --accelerator tcg")
        case .launchFailed(let path, let why):
            Explanation(what: "cannot start QEMU", at: path, why: why, next: "crlab images verify")
        case .fileFailed(let path, let action, let why):
            Explanation(what: "cannot \(action)", at: path, why: why)
        default: Explanation(what: "the guest was lost", why: "unexpected case")
        }
    }

    private var guestExplanation: Explanation {
        switch self {
        case .exitedEarly(let host, let status, let errors, _, _):
            Explanation(
                what: "QEMU ended by itself", at: host.rawValue,
                why: status + (errors.isEmpty ? "" : ": " + errors), next: "see the console")
        case .panicked(let host, let message, _, _):
            Explanation(what: "the guest kernel panicked", at: host.rawValue, why: message, next: "see the console")
        case .hung(let host, let seconds, _):
            Explanation(
                what: "the guest hangs", at: host.rawValue, why: "no heartbeat for \(Self.text(seconds)) s",
                next: "see the console")
        case .silent(let host, let seconds):
            Explanation(
                what: "the guest never printed anything", at: host.rawValue,
                why: "neither console nor agent within \(Self.text(seconds)) s",
                next: "check that the kernel boots on this machine type")
        case .bootTimedOut(let host, let seconds, _):
            Explanation(
                what: "the guest did not boot", at: host.rawValue,
                why: "no answer from its agent within \(Self.text(seconds)) s", next: "see the console")
        case .cloneFailed(let host, let why):
            Explanation(
                what: "the clone of a warm host failed", at: host.rawValue, why: why, next: "use --cold to boot instead"
            )
        default: Explanation(what: "the guest was lost", why: "unexpected case")
        }
    }

    private var channelExplanation: Explanation {
        switch self {
        case .agentDied(let host, let why, _):
            Explanation(what: "the guest agent died", at: host.rawValue, why: why, next: "see the console")
        case .garbled(let host, let why, _):
            Explanation(what: "the guest channel is garbled", at: host.rawValue, why: why)
        case .versionMismatch(let host, let theirs, let ours):
            Explanation(
                what: "cannot talk to the guest agent", at: host.rawValue,
                why: "it speaks protocol \(theirs), this build speaks \(ours)", next: "crlab images build")
        case .deadline(let host, let request, let seconds, _):
            Explanation(
                what: "no answer in time", at: host.rawValue, why: "'\(request)' took more than \(Self.text(seconds)) s"
            )
        case .refusedByAgent(let host, let request, let failure):
            Explanation(what: "the guest agent could not do '\(request)'", at: host.rawValue, why: failure.message)
        case .settingsRefused(let host, let why):
            Explanation(
                what: "the guest cannot have the settings asked for", at: host.rawValue, why: why,
                next: "change 'sysctl' of this host")
        case .cancelled(let host):
            Explanation(what: "cancelled", at: host.rawValue, why: "the run was stopped")
        default: Explanation(what: "the guest was lost", why: "unexpected case")
        }
    }

    /// The same as data: what a record keeps in place of an outcome.
    public var labFailure: LabFailure {
        LabFailure(reason: reason, summary: explanation.line, consoleTail: consoleTail)
    }

    /// The `harness.*` reason.
    public var reason: Reason {
        switch self {
        case .notEmulable, .cpuUnknown, .acceleratorUnavailable: .harnessEmulation
        case .launchFailed, .silent, .bootTimedOut, .cloneFailed: .harnessBoot
        case .exitedEarly(_, _, _, let booted, _), .panicked(_, _, let booted, _): booted ? .harnessAgent : .harnessBoot
        case .hung, .agentDied: .harnessAgent
        case .garbled, .versionMismatch: .harnessChannel
        case .deadline, .cancelled: .harnessDeadline
        case .refusedByAgent(_, _, let failure): failure.reason.category == .harness ? failure.reason : .harnessAgent
        case .settingsRefused: .harnessUnavailable
        case .fileFailed: .harnessSpace
        }
    }

    /// The end of what the guest printed; empty where there was no guest.
    public var consoleTail: String {
        switch self {
        case .exitedEarly(_, _, _, _, let console), .panicked(_, _, _, let console), .hung(_, _, let console),
            .bootTimedOut(_, _, let console), .agentDied(_, _, let console), .garbled(_, _, let console),
            .deadline(_, _, _, let console):
            console
        default: ""
        }
    }

    private static func text(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}

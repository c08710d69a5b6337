import CRModel
import LinuxKit

/// Why the agent could not prepare the guest or a cell: never the experiment's fault.
enum AgentError: Explained, Equatable {
    /// A kernel interface said no while something was prepared.
    case preparation(String, LinuxError)
    /// The port to the lab did not appear.
    case portMissing(name: String, seconds: Double)
    /// The lab closed the channel, or sent what cannot be read.
    case channel(String)
    case workloadUnknown(String)
    case workloadUnreadable(String, why: String)
    case runtimeUnknown(String)
    /// The archive from the lab cannot be unpacked.
    case archive(String)

    var explanation: Explanation {
        switch self {
        case .preparation(let what, let error):
            Explanation(what: "cannot \(what)", why: error.explanation.line)
        case .portMissing(let name, let seconds):
            Explanation(
                what: "cannot reach the lab", at: name, why: "no virtio-serial port of this name within \(seconds) s",
                next: "check that virtio_pci and virtio_console are in the initramfs")
        case .channel(let why):
            Explanation(what: "the channel to the lab is unusable", why: why)
        case .workloadUnknown(let name):
            Explanation(
                what: "no such workload", at: name, why: "the userland has no /opt/crlab/workloads/\(name)",
                next: "build the userland again: crlab images build")
        case .workloadUnreadable(let name, let why):
            Explanation(what: "cannot use the workload", at: name, why: why)
        case .runtimeUnknown(let name):
            Explanation(what: "no such runtime", at: name, why: "the guest has no disk with it")
        case .archive(let why):
            Explanation(what: "cannot unpack the carried archive", why: why)
        }
    }

    /// The reason that the lab is told.
    var reason: Reason {
        switch self {
        case .channel: .harnessChannel
        case .workloadUnknown, .workloadUnreadable: .harnessWorkload
        case .archive: .harnessImage
        default: .harnessAgent
        }
    }

    /// Runs a step of preparation and names it when it fails.
    static func preparing<Value>(
        _ what: @autoclosure () -> String, _ body: () throws(LinuxError) -> Value
    ) throws(AgentError) -> Value {
        do throws(LinuxError) { return try body() } catch { throw .preparation(what(), error) }
    }
}

import CRModel
import LinuxKit

/// What the kernel says during one stage, and when the stage began.
final class StageLog {
    static let maximumMessages = 200

    private let kernelLog: KernelLog?
    private let start = MonotonicClock.nanoseconds()
    private var parser = KernelFaultParser()
    private(set) var messages: [String] = []
    private(set) var taints: [String] = []

    init(_ kernelLog: KernelLog?) { self.kernelLog = kernelLog }

    var faults: [KernelFault] { parser.faults }
    var hasFault: Bool { !parser.faults.isEmpty }
    var milliseconds: Int { Int((MonotonicClock.nanoseconds() - start) / 1_000_000) }

    /// Takes the messages since the last call.
    func collect() {
        for message in kernelLog?.take() ?? [] {
            parser.read(message.text)
            if messages.count < Self.maximumMessages { messages.append(message.text) }
            if let taint = message.operationTaint, !taints.contains(taint) { taints.append(taint) }
        }
    }
}

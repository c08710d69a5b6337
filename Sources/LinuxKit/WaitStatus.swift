/// What wait4(2) says about a task.
public enum WaitStatus: Sendable, Hashable {
    case exited(code: Int32)
    case killed(signal: Int32, core: Bool)
    /// Stopped by ptrace. `event` is PTRACE_EVENT_*, 0 for a signal-delivery stop; `signal` without the 0x80 mark.
    case stopped(signal: Int32, event: Int32, systemCall: Bool)
    case continued

    /// Decodes the status word.
    public init(raw: Int32) {
        if raw == 0xffff {
            self = .continued
        } else if raw & 0xff == 0x7f {
            let signal = (raw >> 8) & 0xff
            self = .stopped(signal: signal & 0x7f, event: raw >> 16, systemCall: signal & 0x80 != 0)
        } else if raw & 0x7f == 0 {
            self = .exited(code: (raw >> 8) & 0xff)
        } else {
            self = .killed(signal: raw & 0x7f, core: raw & 0x80 != 0)
        }
    }

    /// Whether the task stands in PTRACE_EVENT_STOP: interrupted, or in a stop of job control.
    public var isEventStop: Bool {
        if case .stopped(_, event: 128, _) = self { true } else { false }
    }

    /// Whether the task is gone.
    public var isEnd: Bool {
        switch self {
        case .exited, .killed: true
        default: false
        }
    }
}

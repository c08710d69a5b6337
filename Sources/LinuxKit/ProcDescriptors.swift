/// What `/proc/PID/fdinfo/N` says.
public struct DescriptorInfo: Sendable, Hashable {
    /// One watched descriptor of an epoll instance.
    public struct EpollTarget: Sendable, Hashable {
        public var fd: Int32
        public var events: UInt32
        public var data: UInt64
        /// Identity of the watched file, since kernel 4.13; `nil` before.
        public var inode: UInt64?
        public var device: UInt64?
        public var position: UInt64?
    }

    /// A timerfd's clock and setting.
    public struct TimerSetting: Sendable, Hashable {
        public var clock: Int32
        /// Expirations that nobody has read.
        public var ticks: UInt64
        public var settimeFlags: UInt32
        /// Time to the next expiry; 0 when disarmed.
        public var valueNanoseconds: UInt64
        public var intervalNanoseconds: UInt64
    }

    public var position: UInt64
    /// As open(2) takes them, O_CLOEXEC included when the descriptor has it.
    public var flags: UInt32
    public var mountID: Int
    public var eventfdCount: UInt64?
    public var eventfdSemaphore: Bool
    /// Tells eventfds apart; `nil` for others, and on kernels that do not show it.
    public var eventfdID: Int?
    /// Whether the kernel tells (6.5 and later); otherwise ``eventfdSemaphore`` says nothing.
    public var eventfdShowsSemaphore: Bool
    public var epollTargets: [EpollTarget]
    public var timer: TimerSetting?
    /// Mask of a signalfd.
    public var signalMask: UInt64?
    /// Lines `inotify …` and `fanotify …` as they stand.
    public var watchLines: [String]
    /// Lines `lock: …` as they stand.
    public var locks: [String]
    /// PID that a pidfd names; -1 after its end.
    public var pid: Int32?
}

extension ProcParser {
    /// Parses `/proc/PID/fdinfo/N`.
    public static func descriptorInfo(_ text: String, file: String = "fdinfo") throws(LinuxError) -> DescriptorInfo {
        try descriptorInfo(Array(text.utf8), file: file)
    }

    /// Parses `/proc/PID/fdinfo/N`.
    public static func descriptorInfo(_ bytes: [UInt8], file: String = "fdinfo") throws(LinuxError) -> DescriptorInfo {
        var info = DescriptorInfo(
            position: 0, flags: 0, mountID: 0, eventfdCount: nil, eventfdSemaphore: false,
            eventfdShowsSemaphore: false, epollTargets: [], timer: nil,
            signalMask: nil, watchLines: [], locks: [], pid: nil)
        var timer = DescriptorInfo.TimerSetting(
            clock: 0, ticks: 0, settimeFlags: 0, valueNanoseconds: 0, intervalNanoseconds: 0)
        var isTimer = false
        try ProcText.lines(of: bytes) { line throws(LinuxError) in
            if line.bytes.starts(with: "inotify ".utf8) || line.bytes.starts(with: "fanotify ".utf8) {
                info.watchLines.append(line.string)
                return
            }
            guard let (rawKey, rawValue) = line.cut(at: UInt8(ascii: ":")) else { return }
            let value = rawValue.trimmed
            let key = ProcText(rawKey.bytes.drop { $0 == 32 }.prefix { $0 != 32 })
            func number<Number: FixedWidthInteger>(_ radix: UInt64) throws(LinuxError) -> Number {
                guard let number = value.number(Number.self, radix: radix) else {
                    throw .malformed(file, why: "line '\(line.string)'")
                }
                return number
            }
            // Every descriptor has these; the rest belongs to kinds of their own.
            if key == "pos" {
                info.position = value.unsigned() ?? UInt64(bitPattern: value.number(Int64.self) ?? 0)
            } else if key == "flags" {
                info.flags = try number(8)
            } else if key == "mnt_id" {
                info.mountID = try number(10)
            } else {
                switch key.string {
                case "eventfd-count": info.eventfdCount = try number(16)
                case "eventfd-id": info.eventfdID = value.number(Int.self)
                case "eventfd-semaphore":
                    info.eventfdSemaphore = !(value == "0")
                    info.eventfdShowsSemaphore = true
                case "sigmask": info.signalMask = try number(16)
                case "lock": info.locks.append(value.string)
                case "Pid": info.pid = value.number(Int32.self)
                case "tfd": info.epollTargets.append(try epollTarget(line.string[...], file))
                case "clockid":
                    isTimer = true
                    timer.clock = try number(10)
                case "ticks": timer.ticks = try number(10)
                case "settime": timer.settimeFlags = try number(8)
                case "it_value": timer.valueNanoseconds = try pair(value.string[...], file, line.string[...])
                case "it_interval": timer.intervalNanoseconds = try pair(value.string[...], file, line.string[...])
                default: return
                }
            }
        }
        if isTimer { info.timer = timer }
        return info
    }

    /// `(seconds, nanoseconds)`.
    private static func pair(_ text: Substring, _ file: String, _ line: Substring) throws(LinuxError) -> UInt64 {
        let words = text.split { "(), ".contains($0) }
        guard words.count == 2, let seconds = UInt64(words[0]), let nanoseconds = UInt64(words[1]),
            nanoseconds < 1_000_000_000, seconds < 1 << 33
        else { throw .malformed(file, why: "line '\(line)'") }
        return seconds * 1_000_000_000 + nanoseconds
    }

    /// `tfd: 7 events: 19 data: 7 pos:0 ino:2f sdev:d`.
    private static func epollTarget(_ line: Substring, _ file: String) throws(LinuxError) -> DescriptorInfo.EpollTarget
    {
        var values: [String: Substring] = [:]
        var words = line.split { $0 == " " || $0 == "\t" || $0 == ":" }[...]
        while words.count >= 2 {
            values[String(words.removeFirst())] = words.removeFirst()
        }
        guard let fd = values["tfd"].flatMap({ Int32($0) }),
            let events = values["events"].flatMap({ UInt32($0, radix: 16) }),
            let data = values["data"].flatMap({ UInt64($0, radix: 16) })
        else { throw .malformed(file, why: "line '\(line)'") }
        // sdev is the kernel's own dev_t: 12 bits major, 20 bits minor.
        let device = values["sdev"].flatMap { UInt64($0, radix: 16) }.map { ($0 >> 20) << 32 | ($0 & 0xfffff) }
        return DescriptorInfo.EpollTarget(
            fd: fd, events: events, data: data, inode: values["ino"].flatMap { UInt64($0, radix: 16) }, device: device,
            position: values["pos"].flatMap { UInt64($0) })
    }
}

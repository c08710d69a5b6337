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
        var info = DescriptorInfo(
            position: 0, flags: 0, mountID: 0, eventfdCount: nil, eventfdSemaphore: false,
            eventfdShowsSemaphore: false, epollTargets: [], timer: nil,
            signalMask: nil, watchLines: [], locks: [], pid: nil)
        var timer = DescriptorInfo.TimerSetting(
            clock: 0, ticks: 0, settimeFlags: 0, valueNanoseconds: 0, intervalNanoseconds: 0)
        var isTimer = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("inotify ") || line.hasPrefix("fanotify ") {
                info.watchLines.append(String(line))
                continue
            }
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            switch line[..<colon].filter({ $0 != " " }) {
            case "pos": info.position = UInt64(value) ?? UInt64(bitPattern: Int64(value) ?? 0)
            case "flags": info.flags = try number(value, 8, file, line)
            case "mnt_id": info.mountID = try number(value, 10, file, line)
            case "eventfd-count": info.eventfdCount = try number(value, 16, file, line)
            case "eventfd-semaphore":
                info.eventfdSemaphore = value != "0"
                info.eventfdShowsSemaphore = true
            case "sigmask": info.signalMask = try number(value, 16, file, line)
            case "lock": info.locks.append(String(value))
            case "Pid": info.pid = Int32(value)
            case "tfd": info.epollTargets.append(try epollTarget(line, file))
            case "clockid":
                isTimer = true
                timer.clock = try number(value, 10, file, line)
            case "ticks": timer.ticks = try number(value, 10, file, line)
            case "settimeflags": timer.settimeFlags = try number(value, 8, file, line)
            case "it_value": timer.valueNanoseconds = try pair(value, file, line)
            case "it_interval": timer.intervalNanoseconds = try pair(value, file, line)
            default: continue
            }
        }
        if isTimer { info.timer = timer }
        return info
    }

    private static func number<Number: FixedWidthInteger>(
        _ text: Substring, _ radix: Int, _ file: String, _ line: Substring
    ) throws(LinuxError) -> Number {
        guard let number = Number(text.filter { $0 != " " }, radix: radix) else {
            throw .malformed(file, why: "line '\(line)'")
        }
        return number
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

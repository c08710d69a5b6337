/// One line of `/proc/PID/limits`, in the order of the kernel's RLIMIT_ numbers.
public struct ResourceLimit: Sendable, Hashable {
    /// RLIM_INFINITY is `UInt64.max`.
    public var soft: UInt64
    public var hard: UInt64

    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }
}

/// One mount of `/proc/PID/mountinfo`.
public struct MountEntry: Sendable, Hashable {
    public var id: Int
    public var parent: Int
    public var device: UInt64
    /// Which folder of its file system is mounted.
    public var root: String
    public var mountPoint: String
    public var options: String
    public var fileSystem: String
    public var source: String
    public var superOptions: String
    /// `shared:1`, `master:2`, `propagate_from:3`, `unbindable`.
    public var propagation: [String] = []

    /// The number behind `shared:` or `master:`; 0 when it is not there.
    public func group(_ kind: String) -> Int {
        for field in propagation where field.hasPrefix(kind + ":") {
            return Int(field.dropFirst(kind.utf8.count + 1)) ?? 0
        }
        return 0
    }
}

/// One POSIX timer of `/proc/PID/timers`.
public struct PosixTimer: Sendable, Hashable {
    public var id: Int32
    public var signal: Int32
    public var value: UInt64
    /// SIGEV_SIGNAL 0, SIGEV_NONE 1, SIGEV_THREAD 2, with SIGEV_THREAD_ID 4.
    public var notify: Int32
    /// The TID for SIGEV_THREAD_ID, otherwise the process.
    public var notifyTask: Int32
    public var clock: Int32
}

extension ProcParser {
    /// Parses `/proc/PID/mountinfo`.
    public static func mounts(_ text: String, file: String = "mountinfo") throws(LinuxError) -> [MountEntry] {
        var mounts: [MountEntry] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count >= 10, let dash = words.firstIndex(of: "-"), dash >= 6, words.count > dash + 3,
                let id = Int(words[0]), let parent = Int(words[1])
            else { throw .malformed(file, why: "line '\(line)'") }
            let device = words[2].split(separator: ":").compactMap { UInt64($0) }
            guard device.count == 2 else { throw .malformed(file, why: "line '\(line)'") }
            mounts.append(
                MountEntry(
                    id: id, parent: parent, device: device[0] << 32 | device[1], root: unescape(String(words[3])),
                    mountPoint: unescape(String(words[4])), options: String(words[5]),
                    fileSystem: String(words[dash + 1]), source: unescape(String(words[dash + 2])),
                    superOptions: words[(dash + 3)...].joined(separator: " "),
                    propagation: words[6..<dash].map(String.init)))
        }
        return mounts
    }

    /// Parses `/proc/PID/timers`.
    public static func timers(_ text: String, file: String = "timers") throws(LinuxError) -> [PosixTimer] {
        var timers: [PosixTimer] = []
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { throw .malformed(file, why: "line '\(line)'") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            switch line[..<colon] {
            case "ID":
                guard let id = Int32(value) else { throw .malformed(file, why: "line '\(line)'") }
                timers.append(PosixTimer(id: id, signal: 0, value: 0, notify: 0, notifyTask: 0, clock: 0))
            case "signal":
                // `14/0000000000000005`: number and sigev_value.
                let parts = value.split(separator: "/")
                guard let last = timers.indices.last, parts.count == 2, let signal = Int32(parts[0]),
                    let sigval = UInt64(parts[1].hasPrefix("0x") ? parts[1].dropFirst(2) : parts[1], radix: 16)
                else { throw .malformed(file, why: "line '\(line)'") }
                timers[last].signal = signal
                timers[last].value = sigval
            case "notify":
                // `signal/pid.123`, `none/tid.5`, `thread/…`.
                guard let last = timers.indices.last, let slash = value.firstIndex(of: "/"),
                    let dot = value.firstIndex(of: "."), let task = Int32(value[value.index(after: dot)...])
                else { throw .malformed(file, why: "line '\(line)'") }
                let kinds: [Substring: Int32] = ["signal": 0, "none": 1, "thread": 2]
                let isTask = value[value.index(after: slash)...].hasPrefix("tid")
                timers[last].notify = (kinds[value[..<slash]] ?? 0) | (isTask ? 4 : 0)
                timers[last].notifyTask = task
            case "ClockID":
                guard let last = timers.indices.last, let clock = Int32(value) else {
                    throw .malformed(file, why: "line '\(line)'")
                }
                timers[last].clock = clock
            default: continue
            }
        }
        return timers
    }

    /// Parses `/proc/PID/limits`, whose lines stand in the order of the RLIMIT_ numbers.
    public static func limits(_ text: String, file: String = "limits") throws(LinuxError) -> [ResourceLimit] {
        var limits: [ResourceLimit] = []
        for line in text.split(separator: "\n").dropFirst() {
            // The kernel pads the name, which holds spaces, to 25 columns.
            let words = line.dropFirst(25).split(separator: " ")
            func value(_ word: Substring) -> UInt64? { word == "unlimited" ? .max : UInt64(word) }
            guard words.count >= 2, let soft = value(words[0]), let hard = value(words[1]) else {
                throw .malformed(file, why: "line '\(line)'")
            }
            limits.append(ResourceLimit(soft: soft, hard: hard))
        }
        return limits
    }

    /// Numbers separated by white space, as in `/proc/TID/task/TID/children`.
    public static func numbers(_ text: String) -> [Int32] {
        text.split { $0 == " " || $0 == "\n" || $0 == "\t" }.compactMap { Int32($0) }
    }

    /// The auxiliary vector: pairs of words up to AT_NULL.
    public static func auxiliaryVector(_ bytes: [UInt8]) -> [UInt64: UInt64] {
        var entries: [UInt64: UInt64] = [:]
        var offset = 0
        while offset + 16 <= bytes.count {
            let words = (0..<2).map { word in
                (0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[offset + word * 8 + $1]) }
            }
            if words[0] == 0 { break }
            entries[words[0]] = words[1]
            offset += 16
        }
        return entries
    }
}

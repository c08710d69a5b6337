/// prlimit(2).
public enum Limits {
    /// RLIMIT_CPU … RLIMIT_RTTIME.
    public static let count = 16

    /// All limits of a process, by RLIMIT_ number.
    ///
    /// prlimit64(2) on another user's process needs CAP_SYS_RESOURCE, which root does not always have; `/proc` tells then.
    public static func all(of process: Int32) throws(LinuxError) -> [ResourceLimit] {
        do {
            return try ask(process)
        } catch {
            guard error.errno == .notPermitted else { throw error }
            let file = "/proc/\(process)/limits"
            return try ProcParser.limits(Files.text(of: file), file: file)
        }
    }

    private static func ask(_ process: Int32) throws(LinuxError) -> [ResourceLimit] {
        var limits: [ResourceLimit] = []
        for number in 0..<UInt64(count) {
            var pair: (UInt64, UInt64) = (0, 0)
            // SAFETY: the kernel writes one rlimit64, two words.
            let answer = withUnsafeMutablePointer(to: &pair) {
                Kernel.attempt(.prlimit64, Kernel.number(process), number, 0, Kernel.number(UnsafeRawPointer($0)))
            }
            if let errno = Kernel.errno(of: answer) {
                throw .call("prlimit64", object: "task \(process), limit \(number)", errno)
            }
            limits.append(ResourceLimit(soft: pair.0, hard: pair.1))
        }
        return limits
    }

    /// Sets one limit of a process.
    public static func set(_ number: Int, of process: Int32, to limit: ResourceLimit) throws(LinuxError) {
        var pair: (UInt64, UInt64) = (limit.soft, limit.hard)
        // SAFETY: the kernel reads one rlimit64.
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.prlimit64, Kernel.number(process), UInt64(number), Kernel.number(UnsafeRawPointer($0)), 0)
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("prlimit64", object: "task \(process), limit \(number)", errno)
        }
    }

    /// The robust futex list of a task.
    public static func robustList(of task: Int32) throws(LinuxError) -> (head: UInt64, length: UInt64) {
        var head: UInt64 = 0
        var length: UInt64 = 0
        // SAFETY: the kernel writes one word to each.
        let answer = withUnsafeMutablePointer(to: &head) { head in
            withUnsafeMutablePointer(to: &length) { length in
                Kernel.attempt(
                    .get_robust_list, Kernel.number(task), Kernel.number(UnsafeRawPointer(head)),
                    Kernel.number(UnsafeRawPointer(length)))
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("get_robust_list", object: "task \(task)", errno) }
        return (head, length)
    }

    /// The scheduling of a task as `struct sched_attr`, as many bytes as the kernel gives.
    public static func scheduling(of task: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 56)
        // SAFETY: the kernel writes at most the 56 bytes it is told of.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(
                .sched_getattr, Kernel.number(task), Kernel.number($0.baseAddress), UInt64($0.count), 0)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("sched_getattr", object: "task \(task)", errno) }
        return bytes
    }

    /// The CPUs that a task may run on, as the kernel's bit mask.
    public static func affinity(of task: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        // SAFETY: the kernel writes at most 1024 bytes and says how many.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(.sched_getaffinity, Kernel.number(task), UInt64($0.count), Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("sched_getaffinity", object: "task \(task)", errno) }
        return Array(bytes[..<Int(answer)])
    }
}

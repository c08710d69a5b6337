internal import LinuxKit

/// What shows of a large tree to others than its tracer: read by several threads at once, when all stand and before any
/// task is asked anything.
///
/// Whatever is missing here is looked up when it is needed, and fails there.
struct TasksAhead {
    struct Look: Sendable {
        var status: TaskStatus?
        var stat: TaskStat?
        /// What a task certainly has in common with its process.
        var sharesFiles = false
        var sharesFileSystem = false
        var sharesNamespaces = false
    }

    private struct Entry: Sendable {
        var task: Int32
        var process: Int32
        /// The task of its process that it is compared with, and that one's namespaces; `nil` for that one.
        var subject: (task: Int32, links: [String?])?
    }

    private enum Question: Sendable {
        case mappings(Int32)
        case task(Entry)
    }

    private enum Answer: Sendable {
        case mappings(Int32, [Mapping]?)
        case task(Int32, Look)
    }

    /// Namespaces in which threads may differ from their process: all but the user and mount ones.
    static let threadNamespaces = ["net", "ipc", "uts", "cgroup"]

    private var looks: [Int32: Look] = [:]
    /// Of processes with many tasks, by the task that is asked about all of it.
    private var mappings: [Int32: [Mapping]] = [:]

    /// Gives the mappings of a process out once; `nil` when they are not known.
    mutating func takeMappings(of process: Int32) -> [Mapping]? { mappings.removeValue(forKey: process) }

    func knowsMappings(of process: Int32) -> Bool { mappings[process] != nil }

    subscript(task: Int32) -> Look? { looks[task] }

    /// Knows nothing of any task.
    init() {}

    /// Looks at all tasks, if that pays.
    init(_ tree: FrozenTree) throws(EngineError) {
        guard tree.tasks.count >= Workers.fewest, Workers.processors > 1 else { return }
        // What takes long comes first.
        var questions = tree.processes.filter { $0.tasks.count >= Workers.fewest }.map { Question.mappings($0.subject) }
        for process in tree.processes {
            var subject: (task: Int32, links: [String?])?
            for task in process.tasks {
                questions.append(.task(Entry(task: task, process: process.pid, subject: subject)))
                if subject == nil, process.tasks.count > 1 { subject = (task, Self.links(process.pid, task)) }
            }
        }
        for answer in try Workers.map(questions, Self.answer) {
            switch answer {
            case .mappings(let process, let found): mappings[process] = found
            case .task(let task, let look): looks[task] = look
            }
        }
    }

    private static func answer(_ question: Question) -> Answer {
        switch question {
        case .mappings(let process): .mappings(process, try? Procfs.mappings(process))
        case .task(let entry): .task(entry.task, look(entry))
        }
    }

    private static func look(_ entry: Entry) -> Look {
        var look = Look()
        // All of it in one folder: the kernel makes an entry of every name that is looked up, and has to take it away again
        // when the task ends.
        look.status = try? Procfs.status(entry.task, in: entry.process)
        look.stat = try? Procfs.stat(entry.task, in: entry.process)
        guard let (subject, links) = entry.subject else { return look }
        look.sharesFiles = (try? Kcmp.same(.files, subject, entry.task)) ?? false
        look.sharesFileSystem = (try? Kcmp.same(.filesystem, subject, entry.task)) ?? false
        look.sharesNamespaces = self.links(entry.process, entry.task) == links
        return look
    }

    private static func links(_ process: Int32, _ task: Int32) -> [String?] {
        threadNamespaces.map { try? Files.link("/proc/\(process)/task/\(task)/ns/\($0)") }
    }
}

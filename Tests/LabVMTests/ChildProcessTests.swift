import Glibc
import Synchronization
import Testing

@testable import LabVM

@Suite("programs that cannot outlive crlab")
struct ChildProcessTests {
    @Test("the end of the starting thread is the end of the program", .timeLimit(.minutes(1)))
    func parentDeath() async throws {
        let started = Mutex<Result<pid_t, VMError>?>(nil)
        _ = OSThread.start {
            let result = Result { () throws(VMError) in
                try ChildProcess.start(["/bin/sleep", "300"], inherited: []).pid
            }
            // sleep is there only after setpriv and sh; the thread must live until then.
            if case .success(let pid) = result {
                while !Descriptor.text(of: "/proc/\(pid)/comm").hasPrefix("sleep") { usleep(2000) }
            }
            started.withLock { $0 = result }
        }
        var pid: pid_t?
        while pid == nil {
            pid = try started.withLock { try $0?.get() }
            try await Task.sleep(for: .milliseconds(5))
        }
        let child = ChildProcess(pid: try #require(pid))
        var ended: String?
        for _ in 0..<200 where ended == nil {
            ended = child.ended()
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(ended == "killed by signal 9")
    }

    @Test("a program inherits what it was given and nothing else")
    func inheritance() throws {
        let pipe = try Descriptor.pipe()
        let leak = dup(pipe.write)
        defer { [pipe.read, leak].forEach(Descriptor.close) }
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let child = try ChildProcess.start(
            ["/bin/sh", "-c", "ls /proc/self/fd"], inherited: [(null, 0), (pipe.write, 1), (null, 2), (null, 7)])
        child.wait()
        [null, pipe.write].forEach(Descriptor.close)
        let text = String(decoding: Descriptor.read(pipe.read, limit: 4096) ?? [], as: UTF8.self)
        // 3 is the folder that ls reads.
        #expect(text.split(separator: "\n") == ["0", "1", "2", "3", "7"])
    }

    @Test("a wait is over when QEMU had its time, or at last")
    func waits() {
        #expect(!GuestLoop.Settings.isOver(60, waited: 59, given: 59))
        #expect(GuestLoop.Settings.isOver(60, waited: 61, given: 11))
        #expect(GuestLoop.Settings.isOver(60, waited: 61, given: nil))
        #expect(!GuestLoop.Settings.isOver(60, waited: 61, given: 9))
        #expect(GuestLoop.Settings.isOver(60, waited: 241, given: 0))
    }

    @Test("what a program was given is known while it runs", .timeLimit(.minutes(1)))
    func processorTime() async throws {
        let child = try ChildProcess.start(["/bin/sh", "-c", "while :; do :; done"], inherited: [])
        defer {
            child.kill()
            child.wait()
        }
        while try #require(child.processorSeconds()) < 0.05 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(!child.isStopped)
        _ = kill(child.pid, SIGSTOP)
        while !child.isStopped { try await Task.sleep(for: .milliseconds(5)) }
    }
}

internal import LinuxKit

/// The first process of a PID namespace of our own: it reaps orphans and ends with the status of the root process, and
/// the kernel then ends what is left in the namespace.
enum RestoreInit {
    /// Offset of the program in the stub's code page, behind the engine's `syscall`.
    private static let offset: UInt64 = 64

    /// Gives the first process its program and lets it run.
    static func start(_ stub: RestoreStub, root: Int32, detach: Bool) throws(EngineError) {
        try stub.call(.close_range, [0, UInt64(UInt32.max), 0], doing: "close the engine's descriptors")
        // Detached, it must survive the engine; otherwise the namespace ends with it.
        try stub.call(.prctl, [1, detach ? 0 : 9], doing: "set the parent death signal")
        let status = try stub.put(words: [0])
        let fd = try EngineError.wrap("open the memory of a stub", task: stub.tid) { () throws(LinuxError) in
            try Files.open("/proc/\(stub.outer)/mem", .readWrite)
        }
        defer { Files.close(fd) }
        try EngineError.wrap("write the first process's program", task: stub.tid) { () throws(LinuxError) in
            try RestoreCalls.write(fd, at: stub.area.code + offset, bytes: program(status: status, root: root))
        }
        stub.remote.original.rip = stub.area.code + offset
        stub.remote.original.rax = 0
        stub.remote.original.origRax = .max
        stub.remote.originalMask = ~0
        try stub.remote.park()
        try EngineError.wrap("let the first process go", task: stub.tid) { () throws(LinuxError) in
            try Ptrace.detach(stub.outer)
        }
    }

    /// `do pid = wait4(-1, &status, __WALL, 0) while pid != root; exit_group(status as a shell gives it)`.
    static func program(status: UInt64, root: Int32) -> [UInt8] {
        var code: [UInt8] = [0x48, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff]  // mov $-1, %rdi
        code += [0x48, 0xbe] + [status].littleEndianBytes  // mov $status, %rsi
        code += [0xba, 0, 0, 0, 0x40]  // mov $__WALL, %edx
        code += [0x45, 0x31, 0xd2]  // xor %r10d, %r10d
        code += [0xb8, 61, 0, 0, 0, 0x0f, 0x05]  // mov $wait4, %eax; syscall
        code += [0x48, 0x3d] + (0..<4).map { UInt8(truncatingIfNeeded: root >> (8 * $0)) }  // cmp $root, %rax
        let back = Int32(-(code.count + 6))
        code += [0x0f, 0x85] + (0..<4).map { UInt8(truncatingIfNeeded: back >> (8 * $0)) }  // jne start
        code += [0x8b, 0x06, 0x89, 0xc7, 0x83, 0xe0, 0x7f]  // mov (%rsi), %eax; mov %eax, %edi; and $0x7f, %eax
        code += [0x75, 0x05, 0xc1, 0xef, 0x08, 0xeb, 0x06]  // jnz 1f; shr $8, %edi; jmp 2f
        code += [0x8d, 0xb8, 128, 0, 0, 0]  // 1: lea 128(%rax), %edi
        code += [0xb8, 231, 0, 0, 0, 0x0f, 0x05]  // 2: mov $exit_group, %eax; syscall
        return code
    }
}

internal import LinuxKit

/// Memory of the task: the engine's in it, and the task's own.
extension RemoteTask {
    /// Gives writable memory in the task, at least `count` bytes, page-aligned.
    public func scratch(count: Int = 4096) throws(EngineError) -> UInt64 {
        if let scratch, scratch.count >= count { return scratch.start }
        precondition(crowd == nil, "a dump needs no more than a page")
        if let old = scratch {
            scratch = nil
            try call(.munmap, old.start, UInt64(old.count), doing: "unmap scratch memory")
        }
        let size = (count + 4095) / 4096 * 4096
        // PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS
        let start = try call(.mmap, 0, UInt64(size), 3, 0x22, UInt64.max, 0, doing: "map scratch memory")
        scratch = RemoteMemory.Range(start: start, count: size)
        return start
    }

    /// Maps scratch memory with room for series of calls, which ``park()`` unmaps; without that where the kernel or the
    /// task's own rules forbid memory that is both writable and executable.
    ///
    /// - Parameters:
    ///   - place: Where there is room for it, if that is known.
    ///   - lanes: For how many tasks at once there shall be room.
    ///   - process: Its numbers, and those of ``task``, in its own PID namespace.
    ///   - signal: See ``RemoteCrowd/signal``.
    func openCrowd(at place: UInt64?, lanes: Int, process: Int32, tid: Int32, signal: Int32) throws(EngineError) {
        let size = RemoteCrowd.bytes(lanes: lanes)
        if let place, isAlone { home?.memory = RemoteMemory.Range(start: place, count: size) }
        // PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS
        let answer = try attempt(.mmap, [place ?? 0, UInt64(size), 7, 0x22, UInt64.max, 0])
        guard Kernel.errno(of: answer) == nil else {
            home?.memory = nil
            return
        }
        let memory = RemoteMemory.Range(start: UInt64(bitPattern: answer), count: size)
        let place = RemoteCrowd(memory: memory, capacity: lanes, signal: signal)
        crowd = (place, process, tid)
        scratch = RemoteMemory.Range(start: memory.start, count: 4096)
        let mask = quietMask
        try write(RemoteProgram.homeward, at: place.code)
        if home == nil {
            home = place.home
            try home?.prepare(self)
        } else if home?.memory != memory {
            home?.memory = memory
            try home?.prepare(self)
        }
        let registers = try homeward()
        try EngineError.wrap("prepare calls", task: task) { () throws(LinuxError) in
            // From here on its way home is by way of munmap(2), where it can be.
            if home != nil { try Ptrace.setRegisters(task, registers) }
            try Ptrace.setSignalMask(task, mask)
        }
    }

    /// Uses memory that another task of the same address space has mapped and will unmap.
    ///
    /// - Parameter pending: Signals that it has pending.
    func borrow(from other: RemoteTask, tid: Int32, pending: UInt64) {
        if let (place, process, _) = other.crowd, pending & Signals.mask([place.signal]) == 0 {
            crowd = (place, process, tid)
        }
        scratch = other.scratch
        home = other.home
        isBorrower = true
    }

    /// Reads the task's memory.
    public func read(at address: UInt64, count: Int) throws(EngineError) -> [UInt8] {
        try flush()
        if let pages, pages.holds(address, count) { return pages.read(at: address, count: count) }
        return try EngineError.wrap("read memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.read(task, at: address, count: count)
        }
    }

    /// Writes the task's memory, which must be writable for the task itself.
    public func write(_ bytes: [UInt8], at address: UInt64) throws(EngineError) {
        if let pages, pages.holds(address, bytes.count) { return pages.write(bytes, at: address) }
        try EngineError.wrap("write memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.write(task, at: address, bytes)
        }
    }

    /// Writes 64-bit words.
    public func write(words: [UInt64], at address: UInt64) throws(EngineError) {
        try EngineError.wrap("write memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.write(
                task, [RemoteMemory.Range(start: address, count: words.count * 8)], words: words)
        }
    }

    /// Puts bytes into the scratch memory and returns their address, `offset` bytes into it.
    public func place(_ bytes: [UInt8], offset: Int = 0) throws(EngineError) -> UInt64 {
        let start = try scratch(count: offset + bytes.count)
        try write(bytes, at: start + UInt64(offset))
        return start + UInt64(offset)
    }

    /// Puts a C string into the scratch memory.
    public func place(path: String, offset: Int = 0) throws(EngineError) -> UInt64 {
        try place(Array(path.utf8) + [0], offset: offset)
    }
}

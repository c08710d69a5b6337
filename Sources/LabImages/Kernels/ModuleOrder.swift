/// Puts modules in an order in which each finds what it needs already loaded.
struct ModuleOrder: Sendable, Equatable {
    /// Names in load order.
    private(set) var order: [String] = []
    /// Wanted but neither a file nor built in, sorted.
    private(set) var absent: [String] = []

    /// Adds modules and what they depend on.
    ///
    /// - Parameters:
    ///   - wanted: Names, in the order in which they are to be loaded where nothing else decides.
    ///   - builtin: Canonical names of modules that are part of the kernel.
    ///   - lookup: What a module file says about itself; `nil` when there is no such file.
    /// - Throws: `ImagesError.moduleMissing` when a dependency (not a wanted module itself) does not exist.
    mutating func add(
        _ wanted: [String], builtin: Set<String>, kernel: String,
        lookup: (String) async throws(ImagesError) -> ModuleInfo?
    ) async throws(ImagesError) {
        for name in wanted.map(ModuleInfo.canonical) where !builtin.contains(name) && !order.contains(name) {
            guard try await lookup(name) != nil else {
                if !absent.contains(name) { absent = (absent + [name]).sorted() }
                continue
            }
            try await visit(name, neededBy: "the recipe", builtin, kernel, lookup)
        }
    }

    private mutating func visit(
        _ root: String, neededBy: String, _ builtin: Set<String>, _ kernel: String,
        _ lookup: (String) async throws(ImagesError) -> ModuleInfo?
    ) async throws(ImagesError) {
        // Depth first with an own stack; `open` stops cycles, which softdeps may contain.
        var stack: [(info: ModuleInfo, pending: [String])] = []
        var open: Set<String> = []
        func isDone(_ name: String) -> Bool { builtin.contains(name) || order.contains(name) || open.contains(name) }

        guard let first = try await lookup(root) else { return }
        stack.append((first, try await existing(first, lookup)))
        open.insert(root)
        while var top = stack.popLast() {
            guard !top.pending.isEmpty else {
                order.append(top.info.name)
                continue
            }
            let next = top.pending.removeFirst()
            let parent = top.info.name
            stack.append(top)
            if isDone(next) { continue }
            guard let info = try await lookup(next) else {
                throw .moduleMissing(module: next, kernel: kernel, neededBy: parent)
            }
            open.insert(next)
            stack.append((info, try await existing(info, lookup)))
        }
    }

    /// Soft dependencies first, and only those that exist.
    private func existing(
        _ info: ModuleInfo, _ lookup: (String) async throws(ImagesError) -> ModuleInfo?
    ) async throws(ImagesError) -> [String] {
        var soft: [String] = []
        for name in info.softDepends where try await lookup(name) != nil { soft.append(name) }
        return soft + info.depends
    }
}

import SystemPackage

/// The module files of one kernel release.
struct ModuleTree: Sendable {
    let folder: FilePath
    /// Canonical names of what is part of the kernel, from `modules.builtin`.
    let builtin: Set<String>
    private let files: [String: FilePath]
    private let tools: ToolRunner

    /// - Parameter folder: `…/lib/modules/RELEASE`, or any folder that holds module files.
    init(folder: FilePath, tools: ToolRunner) throws(ImagesError) {
        self.folder = folder
        self.tools = tools
        var files: [String: FilePath] = [:]
        for item in try Files.tree(folder) where item.type == .file {
            guard let name = Self.moduleName(item.path) else { continue }
            files[name] = folder.appending(item.path)
        }
        self.files = files
        let list = folder.appending("modules.builtin")
        let lines = Files.exists(list) ? try Files.text(list).split(separator: "\n").map(String.init) : []
        builtin = Set(lines.compactMap(Self.moduleName))
    }

    /// The canonical name for `kernel/…/virtio-rng.ko.xz`; `nil` when the path is no module.
    static func moduleName(_ path: String) -> String? {
        guard let last = path.split(separator: "/").last else { return nil }
        for suffix in [".ko", ".ko.xz", ".ko.zst", ".ko.gz"] where last.hasSuffix(suffix) {
            return ModuleInfo.canonical(String(last.dropLast(suffix.count)))
        }
        return nil
    }

    func has(_ name: String) -> Bool { files[ModuleInfo.canonical(name)] != nil }

    /// The module's object file, uncompressed; `nil` when there is no such module.
    func object(_ name: String) async throws(ImagesError) -> [UInt8]? {
        guard let path = files[ModuleInfo.canonical(name)] else { return nil }
        let tool: HostTool
        switch path.extension {
        case "xz": tool = .xz
        case "zst": tool = .zstd
        case "gz": tool = .gzip
        default: return try Files.bytes(path)
        }
        return try await tools.run(tool, ["-dc", path.string], purpose: "unpack the module \(name)").output
    }

    func info(_ name: String) async throws(ImagesError) -> ModuleInfo? {
        guard let object = try await object(name) else { return nil }
        guard let info = ModuleInfo(name: name, object: object) else {
            throw .kernelUnusable(
                name: folder.lastComponent?.string ?? folder.string,
                path: files[ModuleInfo.canonical(name)]?.string ?? name,
                why: "it is no ELF64 module with a .modinfo section")
        }
        return info
    }
}

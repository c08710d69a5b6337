import SystemPackage

extension KernelRecipe {
    /// Reads a kernel recipe; relative paths count from its folder. The file's name is the kernel's name.
    init(text: String, path: FilePath) throws(ImagesError) {
        let reader = try RecipeReader(text: text, file: path.string)
        try reader.allow(["summary", "suite", "suites", "package", "version", "kernel", "modules"])
        name = path.stem ?? path.string
        file = path.string
        if let wish = try reader.mapping("modules") {
            modules = try ModuleWish(reader: wish)
        } else {
            modules = nil
        }
        guard let own = try reader.mapping("kernel") else {
            source = .packages(
                suites: try reader.suites(), package: try reader.requiredText("package"),
                version: try reader.text("version"))
            return
        }
        for key in ["suite", "suites", "package", "version"] where reader.has(key) {
            throw .recipeInvalid(
                file: file, line: reader.line(of: key), reason: "\(key) makes no sense beside the key kernel")
        }
        try own.allow(["bzImage", "modules", "config"])
        let folder = path.removingLastComponent()
        source = .files(
            bzImage: Files.absolute(try own.requiredText("bzImage"), from: folder).string,
            modules: try own.text("modules").map { Files.absolute($0, from: folder).string },
            config: try own.text("config").map { Files.absolute($0, from: folder).string })
    }
}

extension KernelFamily {
    /// Whether a recipe in the folder of kernels stands for a family.
    static func describes(_ text: String, file: String) -> Bool {
        (try? RecipeReader(text: text, file: file))?.has("each") ?? false
    }

    /// Reads a family's recipe. The file's name is the first part of its members' names.
    init(text: String, path: FilePath) throws(ImagesError) {
        let reader = try RecipeReader(text: text, file: path.string)
        try reader.allow(["summary", "each", "suite", "suites", "package", "also-first", "pins", "modules"])
        name = path.stem ?? path.string
        file = path.string
        guard try reader.text("each") == "series" else {
            throw .recipeInvalid(file: file, line: reader.line(of: "each"), reason: "each must be series")
        }
        suites = try reader.suites()
        package = try reader.requiredText("package")
        alsoFirst = try reader.texts("also-first") ?? []
        pins = try reader.textTable("pins") ?? [:]
        for (place, digest) in pins.sorted(by: { $0.key < $1.key })
        where PackageRecord(pinned: place, sha256: digest, suite: suites[0]) == nil {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "pins"),
                reason: "\(place) must be a package's path from pool/ on, with its SHA-256")
        }
        if let wish = try reader.mapping("modules") { modules = try ModuleWish(reader: wish) } else { modules = nil }
    }
}

extension ModuleWish {
    init(reader: RecipeReader) throws(ImagesError) {
        try reader.allow(["boot", "extra"])
        boot = try reader.texts("boot") ?? []
        extra = try reader.texts("extra") ?? []
    }
}

extension UserlandRecipe {
    /// Reads a userland recipe; relative paths count from its folder. The file's name is the userland's name.
    init(text: String, path: FilePath) throws(ImagesError) {
        let reader = try RecipeReader(text: text, file: path.string)
        try reader.allow([
            "summary", "suite", "suites", "packages", "dependencies", "root", "exclude", "links", "files", "folders",
            "slackMiB", "libc", "on-demand",
        ])
        name = path.stem ?? path.string
        file = path.string
        exclude = try reader.texts("exclude") ?? []
        links = try reader.textTable("links") ?? [:]
        files = try reader.textTable("files") ?? [:]
        folders = try reader.texts("folders") ?? []
        slackMiB = try reader.int("slackMiB") ?? 16
        libc = try reader.text("libc")
        isOnDemand = try reader.text("on-demand") == "yes"
        guard slackMiB >= 0, slackMiB <= 65_536 else {
            throw .recipeInvalid(file: file, line: reader.line(of: "slackMiB"), reason: "slackMiB must be 0 to 65536")
        }
        for (key, paths) in [
            ("exclude", exclude), ("folders", folders), ("links", [String](links.keys)),
            ("files", [String](files.keys)),
        ] {
            for path in paths where path.hasPrefix("/") || path.split(separator: "/").contains("..") {
                throw .recipeInvalid(
                    file: file, line: reader.line(of: key), reason: "\(path) must be relative to the root")
            }
        }
        if let root = try reader.text("root") {
            for key in ["suite", "suites", "packages", "dependencies"] where reader.has(key) {
                throw .recipeInvalid(
                    file: file, line: reader.line(of: key), reason: "\(key) makes no sense beside the key root")
            }
            source = .root(Files.absolute(root, from: path.removingLastComponent()).string)
            return
        }
        let packages = try reader.texts("packages") ?? []
        guard !packages.isEmpty else {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "packages"), reason: "either packages or root must be given")
        }
        let dependencies = try reader.text("dependencies") ?? "yes"
        guard ["yes", "no"].contains(dependencies) else {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "dependencies"), reason: "dependencies must be yes or no")
        }
        source = .packages(suites: try reader.suites(), packages: packages, alone: dependencies == "no")
    }
}

extension QEMURecipe {
    /// Reads a QEMU recipe. The file's name is the QEMU's name.
    init(text: String, path: FilePath) throws(ImagesError) {
        let reader = try RecipeReader(text: text, file: path.string)
        try reader.allow([
            "summary", "default", "suite", "suites", "prefer", "packages", "keep", "program", "dataFolders",
        ])
        name = path.stem ?? path.string
        file = path.string
        isDefault = try reader.text("default") == "true"
        suites = try reader.suites()
        prefer = try reader.text("prefer")
        packages = try reader.texts("packages") ?? []
        keep = try reader.texts("keep") ?? []
        program = try reader.requiredText("program")
        dataFolders = try reader.texts("dataFolders") ?? []
        guard !packages.isEmpty, !keep.isEmpty else {
            throw .recipeInvalid(
                file: file, line: reader.line(of: packages.isEmpty ? "packages" : "keep"),
                reason: "packages and keep must not be empty")
        }
        if let prefer, !suites.contains(prefer) {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "prefer"), reason: "\(prefer) is none of the recipe's suites")
        }
    }
}

extension RecipeReader {
    /// `suite: NAME` or `suites: [NAME, …]`.
    func suites() throws(ImagesError) -> [String] {
        let one = try text("suite")
        let many = try texts("suites") ?? []
        let all = (one.map { [$0] } ?? []) + many
        guard !all.isEmpty else {
            throw .recipeInvalid(file: file, line: line(of: "suite"), reason: "the key suite is missing")
        }
        for suite in all {
            // A suite becomes part of an address and of a line in apt's source list.
            guard suite.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._/".contains($0)) }) else {
                throw .recipeInvalid(
                    file: file, line: line(of: one == suite ? "suite" : "suites"),
                    reason: "\(suite) is no name of a suite")
            }
        }
        return all
    }
}

public import SystemPackage

/// All recipes of one folder: `modules.yaml`, `qemu/*.yaml`, `kernels/*.yaml`, `userlands/*.yaml`, `runtimes/*.yaml`.
///
/// A recipe that cannot be used does not hide the others: it is kept as its error and reported when asked for.
public struct RecipeBook: Sendable {
    /// Kernel recipes or what is wrong with them, by name.
    public let kernels: [String: Result<KernelRecipe, ImagesError>]
    /// Kernel families or what is wrong with them, by name.
    public let families: [String: Result<KernelFamily, ImagesError>]
    /// Userland recipes or what is wrong with them, by name.
    public let userlands: [String: Result<UserlandRecipe, ImagesError>]
    /// Runtime recipes or what is wrong with them, by name.
    public let runtimes: [String: Result<RuntimeRecipe, ImagesError>]
    /// QEMU recipes or what is wrong with them, by name.
    public let qemus: [String: Result<QEMURecipe, ImagesError>]
    let modules: Result<ModuleWish, ImagesError>

    /// Reads a folder of recipes.
    ///
    /// - Throws: `ImagesError.inputUnreadable` when there is no such folder.
    public init(folder: FilePath) throws(ImagesError) {
        guard Files.isFolder(folder) else {
            throw .inputUnreadable(path: folder.string, why: "there is no such folder of recipes")
        }
        kernels = Self.read(folder.appending("kernels")) { (text, path) throws(ImagesError) in
            KernelFamily.describes(text, file: path.string) ? nil : try KernelRecipe(text: text, path: path)
        }
        families = Self.read(folder.appending("kernels")) { (text, path) throws(ImagesError) in
            KernelFamily.describes(text, file: path.string) ? try KernelFamily(text: text, path: path) : nil
        }
        userlands = Self.read(folder.appending("userlands")) { (text, path) throws(ImagesError) in
            try UserlandRecipe(text: text, path: path)
        }
        runtimes = Self.read(folder.appending("runtimes")) { (text, path) throws(ImagesError) in
            try RuntimeRecipe(text: text, path: path)
        }
        qemus = Self.read(folder.appending("qemu")) { (text, path) throws(ImagesError) in
            try QEMURecipe(text: text, path: path)
        }
        let modulesPath = folder.appending("modules.yaml")
        modules = Result { () throws(ImagesError) in
            try ModuleWish(reader: RecipeReader(text: try Files.text(modulesPath), file: modulesPath.string))
        }
    }

    /// A kernel recipe by name; a file of that name wins over a family's member.
    ///
    /// - Throws: What is wrong with it, or `ImagesError.recipeUnknown`.
    public func kernel(named name: String) throws(ImagesError) -> KernelRecipe {
        if let recipe = kernels[name] { return try recipe.get() }
        guard let (family, choice) = member(named: name) else {
            throw .recipeUnknown(
                kind: .kernel, name: name, known: kernels.keys.sorted() + families.keys.sorted().map { "\($0)-*" })
        }
        return KernelRecipe(
            name: name, source: .member(of: family, choice), modules: family.modules, file: family.file)
    }

    /// Whether a name is one that a family of kernels may offer; whether it does, its suites tell.
    public func mayBeMember(_ name: String) -> Bool { member(named: name) != nil }

    private func member(named name: String) -> (KernelFamily, KernelChoice)? {
        for case .success(let family) in families.values {
            if let choice = family.choice(of: name) { return (family, choice) }
        }
        return nil
    }

    /// A userland recipe by name.
    ///
    /// - Throws: What is wrong with it, or `ImagesError.recipeUnknown`.
    public func userland(named name: String) throws(ImagesError) -> UserlandRecipe {
        guard let recipe = userlands[name] else {
            throw .recipeUnknown(kind: .userland, name: name, known: userlands.keys.sorted())
        }
        return try recipe.get()
    }

    /// A runtime recipe by name.
    ///
    /// - Throws: What is wrong with it, or `ImagesError.recipeUnknown`.
    public func runtime(named name: String) throws(ImagesError) -> RuntimeRecipe {
        guard let recipe = runtimes[name] else {
            throw .recipeUnknown(kind: .runtime, name: name, known: runtimes.keys.sorted())
        }
        return try recipe.get()
    }

    /// A QEMU recipe by name.
    ///
    /// - Parameter name: `nil` for the one that is marked as default.
    /// - Throws: What is wrong with it, or `ImagesError.recipeUnknown`.
    public func qemu(named name: String? = nil) throws(ImagesError) -> QEMURecipe {
        if let name, let recipe = qemus[name] { return try recipe.get() }
        for case .success(let recipe) in qemus.values where name == nil && recipe.isDefault { return recipe }
        // A damaged file may be the default one, and says more than that there is none.
        if name == nil, case .failure(let error)? = qemus.values.first(where: { (try? $0.get()) == nil }) {
            throw error
        }
        throw .recipeUnknown(kind: .qemu, name: name ?? "default", known: qemus.keys.sorted())
    }

    private static func read<Recipe>(
        _ folder: FilePath, _ parse: (String, FilePath) throws(ImagesError) -> Recipe?
    ) -> [String: Result<Recipe, ImagesError>] {
        var found: [String: Result<Recipe, ImagesError>] = [:]
        for name in Files.names(in: folder) where name.hasSuffix(".yaml") {
            let path = folder.appending(name)
            do throws(ImagesError) {
                if let recipe = try parse(try Files.text(path), path) {
                    found[String(name.dropLast(5))] = .success(recipe)
                }
            } catch {
                found[String(name.dropLast(5))] = .failure(error)
            }
        }
        return found
    }
}

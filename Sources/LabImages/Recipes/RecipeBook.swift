public import SystemPackage

/// All recipes of one folder: `qemu.yaml`, `modules.yaml`, `kernels/*.yaml`, `userlands/*.yaml`.
///
/// A recipe that cannot be used does not hide the others: it is kept as its error and reported when asked for.
public struct RecipeBook: Sendable {
    /// Kernel recipes or what is wrong with them, by name.
    public let kernels: [String: Result<KernelRecipe, ImagesError>]
    /// Userland recipes or what is wrong with them, by name.
    public let userlands: [String: Result<UserlandRecipe, ImagesError>]
    /// The QEMU recipe or what is wrong with it.
    public let qemu: Result<QEMURecipe, ImagesError>
    let modules: Result<ModuleWish, ImagesError>

    /// Reads a folder of recipes.
    ///
    /// - Throws: `ImagesError.inputUnreadable` when there is no such folder.
    public init(folder: FilePath) throws(ImagesError) {
        guard Files.isFolder(folder) else {
            throw .inputUnreadable(path: folder.string, why: "there is no such folder of recipes")
        }
        kernels = Self.read(folder.appending("kernels")) { (text, path) throws(ImagesError) in
            try KernelRecipe(text: text, path: path)
        }
        userlands = Self.read(folder.appending("userlands")) { (text, path) throws(ImagesError) in
            try UserlandRecipe(text: text, path: path)
        }
        let qemuPath = folder.appending("qemu.yaml")
        qemu = Result { () throws(ImagesError) in
            try QEMURecipe(text: try Files.text(qemuPath), file: qemuPath.string)
        }
        let modulesPath = folder.appending("modules.yaml")
        modules = Result { () throws(ImagesError) in
            try ModuleWish(reader: RecipeReader(text: try Files.text(modulesPath), file: modulesPath.string))
        }
    }

    /// A kernel recipe by name.
    ///
    /// - Throws: What is wrong with it, or `ImagesError.recipeUnknown`.
    public func kernel(named name: String) throws(ImagesError) -> KernelRecipe {
        guard let recipe = kernels[name] else {
            throw .recipeUnknown(kind: .kernel, name: name, known: kernels.keys.sorted())
        }
        return try recipe.get()
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

    private static func read<Recipe>(
        _ folder: FilePath, _ parse: (String, FilePath) throws(ImagesError) -> Recipe
    ) -> [String: Result<Recipe, ImagesError>] {
        var found: [String: Result<Recipe, ImagesError>] = [:]
        for name in Files.names(in: folder) where name.hasSuffix(".yaml") {
            let path = folder.appending(name)
            found[String(name.dropLast(5))] = Result { () throws(ImagesError) in
                try parse(try Files.text(path), path)
            }
        }
        return found
    }
}

import Foundation
public import SystemPackage

/// Where host preparation works and what it may do.
public struct LibraryConfiguration: Sendable {
    /// The folder of prepared images.
    public var cache: FilePath
    /// The folder of recipes (`VMImages`).
    public var recipes: FilePath
    /// A Debian mirror that wins over the lab machine's own; `nil` takes that.
    public var mirror: String?
    /// A key ring that wins over the lab machine's own; `nil` takes that.
    public var keyring: String?
    /// A QEMU that wins over everything; `nil` looks for one.
    public var qemu: String?
    /// Resolve versions again although known ones are not old.
    public var refresh = false
    /// How long resolved versions stay good enough.
    public var resolutionLife: Duration = .seconds(7 * 24 * 3600)
    /// How long to wait for another crlab that builds in the same cache, seconds.
    public var lockSeconds: Int64 = 900

    public init(cache: FilePath, recipes: FilePath) {
        self.cache = cache
        self.recipes = recipes
    }

    /// The configuration that the environment asks for.
    ///
    /// `CRLAB_CACHE` names the cache (otherwise `$XDG_CACHE_HOME/crlab`, otherwise `~/.cache/crlab`), `CRLAB_MIRROR`
    /// the mirror, `CRLAB_KEYRING` the key ring, `CRLAB_QEMU` the QEMU.
    ///
    /// - Parameter environment: Variables by name; `nil` takes those of this process.
    public static func fromEnvironment(
        recipes: FilePath, environment: [String: String]? = nil
    ) -> LibraryConfiguration {
        let environment = environment ?? ProcessInfo.processInfo.environment
        func given(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let home = given("HOME") ?? FileManager.default.homeDirectoryForCurrentUser.path
        let general = given("XDG_CACHE_HOME").map { FilePath($0) } ?? FilePath(home).appending(".cache")
        let chosen = given("CRLAB_CACHE").map { FilePath($0) } ?? general.appending("crlab")
        let here = FilePath(FileManager.default.currentDirectoryPath)
        var configuration = LibraryConfiguration(
            cache: Files.absolute(chosen.string, from: here), recipes: Files.absolute(recipes.string, from: here))
        configuration.mirror = given("CRLAB_MIRROR")
        configuration.keyring = given("CRLAB_KEYRING")
        configuration.qemu = given("CRLAB_QEMU")
        return configuration
    }
}

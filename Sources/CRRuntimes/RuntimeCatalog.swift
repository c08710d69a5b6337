public import CRModel

/// The runtimes that a guest offers.
public enum RuntimeCatalog {
    /// Where a cell finds the bundled engine.
    public static let nativeExecutable = "/run/crlab/bin/crengine"

    /// The runtime of this name; `nil` when this build knows none.
    public static func runtime(_ name: RuntimeName) -> (any Runtime)? {
        name == .native ? NativeRuntime(executable: nativeExecutable) : nil
    }
}

/// What an entry of the image cache is.
public enum ImageKind: String, Sendable, Codable, CaseIterable {
    case qemu
    case kernel
    case initramfs
    case userland
    /// One runtime with its libraries.
    case runtime
    /// The disk with the runtimes of a scenario.
    case runtimes
}

/// What an entry of the image cache is.
public enum ImageKind: String, Sendable, Codable, CaseIterable {
    case qemu
    case kernel
    case initramfs
    case userland
}

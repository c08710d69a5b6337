internal import CRModel
internal import Glibc
internal import Synchronization

/// The images of runs, each under the name of its content: `images/sha256-…`.
///
/// Several runs may share one, also on several machines: an image appears whole, by a rename, and equal ones are one file.
public struct ImageStore: Sendable {
    /// `RUN/images`, or the folder that runs share.
    public let folder: String
    /// What other runs may need is not this run's to remove.
    public let isShared: Bool
    private static let chunkBytes = 1 << 20
    private let verified = VerifiedImages()

    /// - Parameter shared: The folder that runs share; `nil` for one of the run's own.
    init(runFolder: String, shared: String? = nil) {
        folder = shared ?? runFolder + "/images"
        isShared = shared != nil
    }

    /// Takes a file in and gives it its name; equal content is kept once.
    ///
    /// - Parameters:
    ///   - file: Stays as it is with `keepingSource`, and is gone otherwise.
    /// - Throws: ``StoreError/noSpace(path:)`` and others; the store is then as it was.
    public func add(file: String, keepingSource: Bool = false) throws(StoreError) -> StoredImage {
        try StoreFile.makeFolder(folder)
        let copies: Bool
        if keepingSource { copies = true } else { copies = try StoreFile.isCrossDevice(file, folder) }
        let part = folder + "/.part-\(StoreFile.processIdentifier)-" + SHA256.hex(of: file.utf8).prefix(16)
        let image: StoredImage
        do throws(StoreError) {
            image = try copies ? Self.hash(file, copyingTo: part) : Self.hash(file)
            try StoreFile.rename(copies ? part : file, path(of: image))
        } catch {
            // The first error is the one to tell; a part left over is removed by `removeParts`.
            try? StoreFile.remove(part)
            throw error
        }
        if copies, !keepingSource { try StoreFile.remove(file) }
        return image
    }

    /// Where an image lies, whether or not it is there.
    public func path(of image: StoredImage) -> String { folder + "/sha256-" + image.digest }

    /// Reads the whole image and compares its content with its name; once, as long as the file stays the same.
    ///
    /// - Returns: The image's path.
    /// - Throws: ``StoreError/imageMissing(digest:path:)``, ``StoreError/imageDamaged(digest:path:)``.
    @discardableResult
    public func verify(_ image: StoredImage) throws(StoreError) -> String {
        let path = path(of: image)
        guard StoreFile.exists(path) else { throw .imageMissing(digest: image.digest, path: path) }
        let identity = StoreFile.identity(path)
        if let identity, verified.identity(of: image) == identity { return path }
        guard try Self.hash(path) == image else { throw .imageDamaged(digest: image.digest, path: path) }
        verified.keep(image, identity)
        return path
    }

    /// Removes an image; it is no error that there is none.
    public func remove(_ image: StoredImage) throws(StoreError) { try StoreFile.remove(path(of: image)) }

    /// Digests of all images there are, sorted.
    public func digests() throws(StoreError) -> [String] {
        guard StoreFile.exists(folder) else { return [] }
        return try StoreFile.names(in: folder).filter { $0.hasPrefix("sha256-") }.map { String($0.dropFirst(7)) }
    }

    /// Space that all images take, in bytes.
    public func totalBytes() throws(StoreError) -> UInt64 {
        var total: UInt64 = 0
        for digest in try digests() { total += try StoreFile.size(folder + "/sha256-" + digest) }
        return total
    }

    /// Removes what a killed process left half-written. Only for the holder of the run's lock.
    func removeParts() throws(StoreError) {
        guard !isShared, StoreFile.exists(folder) else { return }
        for name in try StoreFile.names(in: folder) where name.hasPrefix(".part-") {
            try StoreFile.remove(folder + "/" + name)
        }
    }

    private static func hash(_ path: String, copyingTo copy: String? = nil) throws(StoreError) -> StoredImage {
        let source = try StoreFile(path, O_RDONLY)
        var hash = SHA256()
        var bytes: UInt64 = 0
        var buffer = [UInt8](repeating: 0, count: chunkBytes)
        if let copy {
            let destination = try StoreFile(copy, O_WRONLY | O_CREAT | O_TRUNC)
            while case let count = try source.read(into: &buffer), count > 0 {
                hash.update(buffer[..<count])
                try destination.write(buffer[..<count])
                bytes += UInt64(count)
            }
        } else {
            while case let count = try source.read(into: &buffer), count > 0 {
                hash.update(buffer[..<count])
                bytes += UInt64(count)
            }
        }
        return StoredImage(digest: hash.finish(), bytes: bytes)
    }
}

/// Which file each image was when its content was last read and found good.
private final class VerifiedImages: Sendable {
    private let files = Mutex<[StoredImage: [Int]]>([:])

    func identity(of image: StoredImage) -> [Int]? { files.withLock { $0[image] } }

    /// - Parameter identity: `nil` for a file that cannot be told from a later one yet.
    func keep(_ image: StoredImage, _ identity: [Int]?) { files.withLock { $0[image] = identity } }
}

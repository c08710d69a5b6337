internal import Glibc
internal import Synchronization

/// Says that a live process works on a run. The kernel lets go of it when the process ends, however it ends.
final class RunLock: Sendable {
    /// `nil` once released.
    private let file: Mutex<StoreFile?>

    init(folder: String) throws(StoreError) {
        let path = folder + "/run.lock"
        let file = try StoreFile(path, O_RDWR | O_CREAT)
        guard try file.lock() else {
            var buffer = [UInt8](repeating: 0, count: 32)
            let count = try file.read(into: &buffer)
            let text = String(decoding: buffer[..<count], as: UTF8.self).prefix { $0.isNumber }
            throw .locked(path: folder, process: Int(text) ?? 0)
        }
        try file.truncate()
        try file.write(Array("\(StoreFile.processIdentifier)\n".utf8)[...])
        self.file = Mutex(file)
    }

    deinit { release() }

    func release() {
        file.withLock { file in
            file?.unlock()
            file = nil
        }
    }
}

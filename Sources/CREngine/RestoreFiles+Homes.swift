internal import CRImage

/// Where the file limit leaves no room for every number twice.
extension RestoreFiles {
    /// Chooses files that can have the workload's own number in the engine already.
    ///
    /// That is safe for a number that means one and the same file wherever it is used: nobody puts another one there
    /// before everybody has taken it from there.
    func chooseHomes() {
        var meaning: [Int32: UInt32] = [:]
        var ambiguous: Set<Int32> = []
        func mean(_ fd: Int32, _ file: UInt32) {
            if let other = meaning.updateValue(file, forKey: fd), other != file { ambiguous.insert(fd) }
        }
        for table in contents.fileTables {
            for entry in table.entries { mean(entry.fd, entry.openFile) }
        }
        for file in contents.openFiles {
            for target in file.epollTargets { mean(target.fd, target.openFile) }
        }
        // Below 64 are the engine's own.
        for (fd, file) in meaning.sorted(by: { $0.key < $1.key }) where fd >= 64 && !ambiguous.contains(fd) {
            if homes[file] == nil { homes[file] = fd }
        }
    }
}

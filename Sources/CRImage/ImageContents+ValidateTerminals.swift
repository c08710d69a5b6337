extension ImageContents {
    /// Checks terminals, and what refers to them.
    func terminalsFit() throws(ImageError) {
        var indexes: Set<String> = []
        for terminal in terminals {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "terminal \(terminal.number)", why: why) }
            guard terminal.masterPath.utf8.first == UInt8(ascii: "/") else { throw fail("its path is not absolute") }
            guard terminal.index < 1 << 20, indexes.insert("\(terminal.masterPath) \(terminal.index)").inserted else {
                throw fail("its index is none, or used twice")
            }
            guard terminal.settings.count == (terminal.isHungUp ? 0 : 44),
                terminal.size.count == (terminal.isHungUp ? 0 : 8),
                terminal.lockedSettings.isEmpty || terminal.lockedSettings.count == 36
            else { throw fail("its settings have another length") }
        }
        let known = Set(terminals.map(\.number))
        let hungUp = Set(terminals.filter(\.isHungUp).map(\.number))
        var masters: Set<UInt32> = []
        for file in openFiles {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "open file \(file.number)", why: why) }
            let isMaster = file.kind == .terminalMaster
            let needsTerminal = isMaster || file.kind == .terminalSlave
            guard needsTerminal == (file.terminal != 0), !needsTerminal || known.contains(file.terminal) else {
                throw fail("it refers to a terminal that the image does not hold")
            }
            guard !needsTerminal || file.terminalPath.utf8.first == UInt8(ascii: "/") else {
                throw fail("the terminal's path is not absolute")
            }
            if isMaster, !masters.insert(file.terminal).inserted || hungUp.contains(file.terminal) {
                throw fail("its terminal has two masters, or none")
            }
        }
        for terminal in terminals where !terminal.isHungUp && !masters.contains(terminal.number) {
            throw .inconsistent(record: "terminal \(terminal.number)", why: "nobody has its master open")
        }
        let devices = Set(inodes.filter { $0.kind == .device }.map(\.number))
        let consoles = Set(openFiles.filter { $0.kind == .inode && devices.contains($0.inode) }.map(\.number))
        for process in processes where process.consoleFile != 0 && !consoles.contains(process.consoleFile) {
            throw .inconsistent(record: "process \(process.pid)", why: "its console is missing")
        }
        for process in processes where process.terminal != 0 {
            guard known.contains(process.terminal), !hungUp.contains(process.terminal) else {
                throw .inconsistent(record: "process \(process.pid)", why: "its controlling terminal is missing")
            }
        }
    }
}

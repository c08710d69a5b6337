import CRModel
import LinuxKit

/// Turns what the kernel said about a fault into evidence: which task of the cell, in which file, near which symbol.
struct FaultResolver {
    var maps: [TaskMaps]
    var outer: OuterTasks
    /// Where to look last; read once, and only for a fault.
    private let recorded: () -> TaskMaps
    private lazy var recordedMaps = recorded()
    /// ELF files are parsed once however many tasks fault in them.
    private var files: [String: (bytes: [UInt8], elf: ELFFile?)] = [:]

    /// - Parameter maps: Newest first.
    /// - Parameter recorded: Gives those of the dump.
    init(maps: [TaskMaps], outer: OuterTasks, recorded: @escaping () -> TaskMaps = { TaskMaps() }) {
        self.maps = maps
        self.recorded = recorded
        self.outer = outer
    }

    mutating func evidence(_ fault: KernelFault) -> FaultEvidence {
        let known = outer.inner[fault.process]
        var found: (process: Int32, mapping: Mapping)?
        for snapshot in maps where found == nil {
            found = snapshot.mapping(at: fault.instructionPointer, process: known?.process, comm: fault.comm)
        }
        if found == nil {
            found = recordedMaps.mapping(at: fault.instructionPointer, process: known?.process, comm: fault.comm)
        }
        var evidence = FaultEvidence(
            task: Int(known?.task ?? found?.process ?? fault.process), comm: fault.comm, signal: fault.signal,
            instructionPointer: fault.instructionPointer, bytes: fault.bytes)
        guard let mapping = found?.mapping else {
            evidence.mapping = fault.file
            return evidence
        }
        evidence.mapping = mapping.path
        guard mapping.path.hasPrefix("/") else { return evidence }
        let offset = fault.instructionPointer - mapping.start + mapping.fileOffset
        evidence.fileOffset = offset
        let file = load(mapping.path)
        if evidence.bytes.count < 30, offset < UInt64(file.bytes.count) {
            evidence.bytes = file.bytes[Int(offset)...].prefix(32).map(Self.hexadecimal).joined()
        }
        guard let elf = file.elf else { return evidence }
        evidence.buildID = elf.buildID ?? ""
        if let address = elf.address(ofFileOffset: offset), let nearest = elf.nearestSymbol(to: address) {
            evidence.symbol = nearest.symbol.name
            evidence.symbolOffset = nearest.distance
            evidence.symbolBytes = nearest.symbol.sizeBytes
        }
        return evidence
    }

    private mutating func load(_ path: String) -> (bytes: [UInt8], elf: ELFFile?) {
        if let file = files[path] { return file }
        let bytes = (try? Files.contents(of: path)) ?? []
        let file = (bytes, try? ELFFile(bytes, name: path))
        files[path] = file
        return file
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = Array("0123456789abcdef")
        return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
    }
}

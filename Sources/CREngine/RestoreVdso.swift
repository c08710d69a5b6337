internal import CRImage
internal import CRModel
internal import LinuxKit

/// Decides for each address space what becomes of its vDSO, and does it.
///
/// Same bytes: this kernel's own vDSO, whose data pages follow it, moves to the image's address. Else the image's vDSO
/// stays there as ordinary memory and forwards its entry points.
final class RestoreVdso {
    private let contents: ImageContents
    private let specials: [Mapping]
    private let current: [UInt8]
    /// Address spaces whose vDSO makes room for the kernel's.
    private var movable: Set<UInt32> = []
    /// The others', as they come in.
    private var images: [UInt32: VdsoImage] = [:]
    private(set) var notes: [String] = []
    private var said: Set<String> = []

    /// The notes since the last call.
    func takeNotes() -> [String] {
        defer { notes = [] }
        return notes
    }

    init(_ contents: ImageContents, specials: [Mapping]) {
        self.contents = contents
        self.specials = specials
        current = Host.vdso()
        let isSameKernel =
            contents.header.kernelRelease == Host.kernelName().release
            && RestoreFingerprint.kernelVersion(contents.header.fingerprint) == Host.kernelName().version
        for space in contents.addressSpaces {
            guard let vdso = space.vmas.first(where: { $0.kind == .vdso }) else { continue }
            if isSameKernel, Self.hasLayout(of: specials, space) {
                movable.insert(space.number)
            } else {
                images[space.number] = VdsoImage(vdso.start..<vdso.end)
            }
        }
    }

    private static func hasLayout(of specials: [Mapping], _ space: AddressSpaceRecord) -> Bool {
        guard let first = specials.first, let own = specials.first(where: { $0.name == "[vdso]" }) else { return false }
        let special = space.vmas.filter { $0.kind == .vdso || $0.kind == .vvar }
        let all = special.filter { $0.kind == .vdso }
        guard let start = special.first?.start, let vdso = all.first, all.count == 1 else { return false }
        return vdso.start - start == own.start - first.start && vdso.end - vdso.start == own.sizeBytes
    }

    /// Whether the kernel's vDSO may take the place of the image's.
    ///
    /// The image's pages come only after its address spaces are mapped, so they cannot be compared in time; the kernel's
    /// own vDSO is moved when layout and kernel are the same, which leaves only what the kernel patched for the CPU.
    func canMove(_ number: UInt32) -> Bool { movable.contains(number) }

    /// Where the bytes of an image's vDSO gather; `nil` where it makes room.
    func image(_ number: UInt32) -> VdsoImage? { images[number] }

    /// Patches the image's vDSO once its pages are in.
    func finish(_ record: ProcessRecord, _ tree: RestoreTree) throws(EngineError) {
        guard let image = images[record.addressSpace]?.bytes, let stub = tree.processes[record.pid],
            let space = contents.addressSpaces.first(where: { $0.number == record.addressSpace }),
            let vdso = space.vmas.first(where: { $0.kind == .vdso })
        else { return }
        for task in contents.tasks where task.process == record.pid {
            // rip is the 17th of the words.
            guard task.registers.count == Registers.wordCount, (vdso.start..<vdso.end).contains(task.registers[16])
            else { continue }
            throw .refused(
                Refusal(
                    reason: "kernel.vdso", task: task.tid, object: "[vdso]",
                    message: "the task stands in the source kernel's vDSO, which is another one here"))
        }
        guard let base = RestoreMemory.parkedVdso(specials, in: tree.area) else {
            throw .refused(
                Refusal(
                    reason: "kernel.vdso", task: record.pid, object: "[vdso]",
                    message: "this kernel gives no vDSO to forward to"))
        }
        let plan = try EngineError.wrap("forward the vDSO", task: record.pid) { () throws(LinuxError) in
            try VdsoForwarding.plan(old: image, new: current, newBase: base)
        }
        let fd = try EngineError.wrap("open the memory of a stub", task: record.pid) { () throws(LinuxError) in
            try Files.open("/proc/\(stub.outer)/mem", .readWrite)
        }
        defer { Files.close(fd) }
        for patch in plan.patches {
            try EngineError.wrap("forward the vDSO", task: record.pid) { () throws(LinuxError) in
                try RestoreCalls.write(fd, at: vdso.start + patch.offset, bytes: patch.bytes)
            }
        }
        let untouched = plan.untouched.filter { said.insert($0).inserted }
        if !untouched.isEmpty {
            notes.append("vDSO functions without a counterpart here: \(untouched.joined(separator: ", "))")
        }
    }
}

/// What restore asks the source's fingerprint.
enum RestoreFingerprint {
    /// `uname -v`; empty when the text cannot be read.
    static func kernelVersion(_ text: String) -> String {
        guard let value = try? JSONParser.parse(text) else { return "" }
        return value["kernel"]?["version"]?.text ?? ""
    }
}

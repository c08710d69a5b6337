import CRModel
import Foundation
public import LabImages
import LabVM
public import Logging

/// What a lab machine can do, each item tried and not guessed.
public struct LabProbe: Codable, Sendable, Equatable {
    /// One ability.
    public struct Item: Codable, Sendable, Equatable {
        public let what: String
        public let works: Bool
        /// What was found, or why it does not work.
        public let detail: String
    }

    public let items: [Item]
    /// Whether scenarios can be run here at all.
    public let canRun: Bool

    /// Tries everything.
    public static func run(
        logger: Logger, progress: @escaping @Sendable (ImagesProgress) -> Void
    ) async throws -> LabProbe {
        let installation = try Installation.find()
        var items = [machine(), space(at: installation.reports.string), nativeEngine()]
        var canRun = false
        do {
            let session = try await LabSession.open(accelerator: .auto, logger: logger, progress: progress)
            canRun = true
            items.append(Item(what: "QEMU", works: true, detail: session.lab.qemuVersion))
            items.append(
                Item(what: "KVM", works: session.lab.accelerator == .kvm, detail: session.lab.kvmReport))
            items += models(session.lab)
            items += await prepared(session)
        } catch let error as any Explained {
            items.append(Item(what: "guests", works: false, detail: error.explanation.line))
        }
        return LabProbe(items: items, canRun: canRun)
    }

    private static func machine() -> Item {
        let memory = ProcessInfo.processInfo.physicalMemory / 1_073_741_824
        let processors = ProcessInfo.processInfo.activeProcessorCount
        return Item(what: "machine", works: true, detail: "\(processors) processors, \(memory) GiB of memory")
    }

    private static func space(at path: String) -> Item {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path)
        let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value ?? 0
        // A prepared set of four kernels and a userland, and the images of one run, measured.
        let needed: Int64 = 2 << 30
        return Item(
            what: "disk space", works: free >= needed,
            detail: "\(free >> 30) GiB free at \(path); \(needed >> 30) GiB are needed")
    }

    private static func nativeEngine() -> Item {
        let root = geteuid() == 0
        return Item(
            what: "engine on this machine", works: root,
            detail: root
                ? "root: crengine can dump and restore here without a guest"
                : "not root: crengine works in guests only, and the engine tests are skipped")
    }

    private static func models(_ lab: Lab) -> [Item] {
        var items: [Item] = []
        for model in ["Nehalem", "SandyBridge", "Haswell", "Skylake-Server", "EPYC-Milan"] {
            do {
                let choice = try lab.resolve(cpu: model)
                let lost = choice.reducedBy
                items.append(
                    Item(
                        what: "CPU model \(model)", works: true,
                        detail: lost.isEmpty ? "in full" : "without \(lost.joined(separator: ", "))"))
            } catch {
                items.append(Item(what: "CPU model \(model)", works: false, detail: error.explanation.line))
            }
        }
        return items
    }

    private static func prepared(_ session: LabSession) async -> [Item] {
        await session.library.list().filter { $0.kind == .kernel || $0.kind == .userland }.filter(\.isReferenced).map {
            Item(
                what: "\($0.kind.rawValue) \($0.name)", works: $0.manifest != nil,
                detail: "prepared, \($0.bytes >> 20) MiB")
        }
    }
}

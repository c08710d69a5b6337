import ArgumentParser
import CRModel
import Foundation
import LabImages
import LabRunner

struct HostsImportCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Makes a host of a scenario from a real machine's fingerprint.",
        discussion: """
            On the machine: copy .build/release/crengine there and run `crengine fingerprint > FILE`; nothing need be \
            installed. The answer is YAML for a scenario; comments name, with leaf and bit, what cannot be emulated here.
            """)

    @Argument(help: "The output of `crengine fingerprint`; - for standard input.")
    var file: String

    @Option(help: "Name of the host.")
    var name: String = "imported"

    @Option(help: "A QEMU recipe that is to emulate it; by default the one that hosts have by themselves.")
    var qemu: String?

    @Flag(help: "Boot the host and list what it really shows, and where that is not what the machine shows.")
    var boot = false

    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func validate() throws {
        let isName =
            !name.isEmpty && name.utf8.count <= 64 && name.first?.isLetter == true
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-+".contains($0)) }
        guard isName else { throw ValidationError("--name takes a name as in a scenario") }
    }

    func run() async throws {
        try await ExitStatus.guarding {
            let machine = try Self.read(file)
            let job = HostJob(guests)
            let host = try await job.host(like: machine, name: HostName(name), qemu: qemu, booting: boot)
            switch format.format {
            case .json: Terminal.answer(try JSONCoder.text(of: host, pretty: true))
            case .table: Terminal.answer(host.yaml)
            }
        }
    }

    private static func read(_ file: String) throws -> MachineFingerprint {
        do {
            let bytes =
                file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Data(contentsOf: URL(filePath: file))
            return try MachineFingerprint(text: String(decoding: bytes, as: UTF8.self))
        } catch let error as JSONError {
            throw ValidationError("\(file): \(error)")
        } catch {
            throw ValidationError("\(file) cannot be read: \(error.localizedDescription)")
        }
    }
}

struct FingerprintCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "fingerprint", abstract: "Says what this machine is, as JSON for `crlab hosts import`.",
        discussion: """
            The same as `crengine fingerprint`, which is one static executable and runs on a machine that has nothing else.
            """)

    func run() async throws {
        try await ExitStatus.guarding {
            Terminal.answer(try await MachineJob.fingerprint(engine: Installation.find().engine))
        }
    }
}

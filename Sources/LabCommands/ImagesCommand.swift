import ArgumentParser
import CRModel
import LabImages
import LabRunner
import Logging

struct ImagesCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "Prepares QEMU, kernels and disk images, and looks after them.",
        subcommands: [Build.self, List.self, Verify.self, Prune.self], defaultSubcommand: List.self)

    struct Build: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Fetches and builds what is missing. Exit status 69 when a recipe cannot be had.",
            discussion: "Runtimes beside crlab's own engine are built when they are named, and by runs that use them.")

        @Option(help: "Only this kernel, or those that match a pattern such as 'debian-*'; may be repeated.")
        var kernel: [String] = []

        @Option(help: "Only this userland recipe; may be repeated.")
        var userland: [String] = []

        @Option(help: "This runtime recipe, or 'all' of them; may be repeated.")
        var runtime: [String] = []

        @Option(help: "Only this QEMU recipe beside the one that hosts have by themselves; may be repeated.")
        var qemu: [String] = []

        @Flag(help: "Ask the mirror for newer versions even where known ones are fresh.")
        var refresh = false

        @OptionGroup var format: FormatOption

        func run() async throws {
            try await ExitStatus.guarding {
                let library = try ImageJob(refresh: refresh)
                let all = kernel.isEmpty && userland.isEmpty && runtime.isEmpty && qemu.isEmpty
                let preparations = await library.prepare(
                    qemus: qemu, kernels: all ? nil : kernel, userlands: all ? nil : userland,
                    runtimes: runtime.contains("all") ? nil : runtime)
                Terminal.answer(ImageTables.preparations(preparations, format: format.format))
                guard preparations.allSatisfy({ (try? $0.result.get()) != nil }) else {
                    throw ExitCode(ExitStatus.labFailed)
                }
            }
        }
    }

    struct List: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Lists what scenarios can name: version, state and origin of each.",
            discussion: "Looks up families of kernels (debian-6.12, debian-7.1, …) on the mirror, at most once a week.")

        @Flag(help: "List what lies in the cache instead.")
        var cache = false

        @Flag(help: "Ask the mirror even where the last look is fresh.")
        var refresh = false

        @OptionGroup var format: FormatOption

        func run() async throws {
            try await ExitStatus.guarding {
                let library = try ImageJob(refresh: refresh).library
                if cache { return Terminal.answer(ImageTables.entries(await library.list(), format: format.format)) }
                let (offers, failures) = await library.offers()
                for error in failures.values { Terminal.complain(error) }
                Terminal.answer(ImageTables.offers(offers, format: format.format))
                guard failures.isEmpty else { throw ExitCode(ExitStatus.labFailed) }
            }
        }
    }

    struct Verify: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Compares every file with its checksum; a damaged entry is set aside and built again when needed."
        )

        @OptionGroup var format: FormatOption

        func run() async throws {
            try await ExitStatus.guarding {
                let checks = try await ImageJob().library.verify()
                Terminal.answer(ImageTables.checks(checks, format: format.format))
                guard checks.allSatisfy(\.deviations.isEmpty) else { throw ExitCode(ExitStatus.labFailed) }
            }
        }
    }

    struct Prune: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Removes entries that no recipe stands for now.")

        @OptionGroup var format: FormatOption

        func run() async throws {
            try await ExitStatus.guarding {
                Terminal.answer(
                    ImageTables.removed(try await ImageJob().library.prune(), format: format.format))
            }
        }
    }
}

/// The image library as commands use it.
struct ImageJob: Sendable {
    let installation: Installation
    let library: ImageLibrary

    init(refresh: Bool = false) throws {
        installation = try .find()
        var configuration = LibraryConfiguration.fromEnvironment(recipes: installation.recipes)
        configuration.refresh = refresh
        let progress = ProgressPrinter()
        library = try ImageLibrary(configuration: configuration, logger: Logger(label: "crlab")) { event in
            progress.show(.images(event))
        }
    }

    func prepare(
        qemus: [String], kernels: [String]?, userlands: [String]?, runtimes: [String]?
    ) async -> [Preparation] {
        await library.prepare(
            qemus: qemus, kernels: kernels, userlands: userlands, runtimes: runtimes,
            workloads: installation.workloads)
    }
}

internal import CREngine
internal import CRImage
internal import CRModel
internal import LinuxKit

/// `crengine inspect FILE`: an image for people and for scripts.
enum Inspect {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(words, for: "inspect")
        let isJSON = try arguments.isJSON()
        guard arguments.operands.count == 1 else { throw Arguments.Failure(message: "inspect takes one image") }
        let path = arguments.operands[0]
        do throws(EngineError) {
            let fd: Int32
            do { fd = path == "-" ? 0 : try Files.open(path, .readOnly) } catch {
                throw .image(path, why: error.errno.map { "\($0)" } ?? error.description)
            }
            let image = try read(fd, path)
            Output.line(isJSON ? json(image).serialized(pretty: true) : table(image))
            return Output.ExitCode.done.rawValue
        } catch {
            return Output.failure(error, isJSON: isJSON)
        }
    }

    private struct Image {
        var contents: ImageContents
        var version: UInt32
        var bytes: UInt64
        var runs: [PageRun]
    }

    private static func read(_ fd: Int32, _ path: String) throws(EngineError) -> Image {
        do {
            var reader = try ImageReader(DescriptorSource(fd))
            let contents = try reader.metadata()
            var runs: [PageRun] = []
            while let run = try reader.nextPages() { runs.append(run) }
            return Image(contents: contents, version: reader.version, bytes: reader.byteCount, runs: runs)
        } catch {
            throw .unreadable(path, error)
        }
    }

    private static func json(_ image: Image) -> JSONValue {
        .object([
            "version": .integer(Int64(image.version)), "bytes": .unsigned(image.bytes),
            "records": .array(image.contents.records.map { $0.described() }),
            "pages": .array(
                image.runs.map {
                    .object([
                        "target": .integer(Int64($0.target)), "start": .string("0x" + String($0.start, radix: 16)),
                        "bytes": .integer(Int64($0.byteCount)),
                    ])
                }),
        ])
    }

    // MARK: Tables

    private static func hex(_ value: UInt64) -> String { String(value, radix: 16) }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Rows in columns as wide as their widest cell; the last column is not padded.
    static func columns(_ title: String, _ rows: [[String]]) -> String {
        guard rows.count > 1 else { return "" }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.indices.map { index in
                index == row.count - 1
                    ? row[index] : row[index] + String(repeating: " ", count: widths[index] - row[index].count)
            }.joined(separator: "  ")
        }
        return "\n" + title + "\n" + lines.map { "  " + $0 }.joined(separator: "\n") + "\n"
    }

    private static func table(_ image: Image) -> String {
        let contents = image.contents
        let header = contents.header
        let total = image.runs.reduce(0) { $0 + $1.byteCount }
        var output =
            "image: format \(image.version), engine \(header.engineVersion), \(image.bytes) bytes\n"
            + "source: kernel \(header.kernelRelease), XCR0 0x\(hex(header.xcr0)), root process \(header.root)\n"
            + "content: \(contents.processes.count) processes, \(contents.tasks.count) tasks, "
            + "\(total / ImageFormat.pageBytes) pages in \(image.runs.count) runs\n"
        output += columns(
            "processes",
            [["PID", "parent", "group", "session", "state", "space", "files", "name"]]
                + contents.processes.map { process in
                    let state =
                        process.isZombie
                        ? "zombie \(process.exitStatus)" : process.stopSignal != 0 ? "stopped" : "running"
                    let name =
                        process.isZombie
                        ? process.comm : contents.tasks.first { $0.tid == process.pid }?.comm ?? []
                    return [
                        "\(process.pid)", "\(process.parent)", "\(process.processGroup)", "\(process.session)", state,
                        "\(process.addressSpace)", "\(process.fileTable)", text(name),
                    ]
                })
        output += columns(
            "tasks",
            [["TID", "process", "rip", "rsp", "blocked", "pending", "xstate", "name"]]
                + contents.tasks.map { task in
                    let registers = Registers(words: task.registers) ?? Registers()
                    return [
                        "\(task.tid)", "\(task.process)", hex(registers.rip), hex(registers.rsp), hex(task.signalMask),
                        "\(task.pendingSignals.count)", "\(task.xstate.count)", text(task.comm),
                    ]
                })
        let paths = Dictionary(contents.inodes.map { ($0.number, $0.path) }, uniquingKeysWith: { first, _ in first })
        for space in contents.addressSpaces {
            output += columns(
                "address space \(space.number): \(paths[space.executable] ?? "")",
                [["range", "rights", "kind", "pages", "offset", "what"]]
                    + space.vmas.map { row(of: $0, in: space, image.runs, paths) })
        }
        output += files(contents, paths)
        return output
    }

    private static func row(
        of vma: VMAValue, in space: AddressSpaceRecord, _ runs: [PageRun], _ paths: [UInt32: String]
    ) -> [String] {
        var bytes: UInt64 = 0
        for run in runs where run.target == space.number {
            let low = max(run.start, vma.start)
            let high = min(run.start + UInt64(run.byteCount), vma.end)
            if low < high { bytes += high - low }
        }
        let rights =
            (vma.protection & 1 != 0 ? "r" : "-") + (vma.protection & 2 != 0 ? "w" : "-")
            + (vma.protection & 4 != 0 ? "x" : "-")
        return [
            "\(hex(vma.start))-\(hex(vma.end))", rights, "\(vma.kind)", "\(bytes / UInt64(ImageFormat.pageBytes))",
            hex(vma.fileOffset), vma.inode == 0 ? vma.name : paths[vma.inode] ?? "",
        ]
    }

    private static func files(_ contents: ImageContents, _ paths: [UInt32: String]) -> String {
        let open = Dictionary(contents.openFiles.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        var output = ""
        for table in contents.fileTables {
            output += columns(
                "file table \(table.number)",
                [["fd", "kind", "flags", "offset", "what"]]
                    + table.entries.map { entry in
                        let file = open[entry.openFile]
                        let pipe = file.map { $0.pipe == 0 ? "" : "pipe \($0.pipe)" } ?? ""
                        return [
                            "\(entry.fd)", file.map { "\($0.kind)" } ?? "",
                            "0" + String(file?.flags ?? 0, radix: 8) + (entry.closeOnExec ? " cloexec" : ""),
                            "\(file?.offset ?? 0)", paths[file?.inode ?? 0] ?? pipe,
                        ]
                    })
        }
        return output
    }
}

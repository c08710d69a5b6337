import Foundation
import SystemPackage

/// File work with typed errors. Everything that fails names the path and what was tried.
enum Files {
    static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

    static func isFolder(_ path: FilePath) -> Bool {
        var folder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path.string, isDirectory: &folder) && folder.boolValue
    }

    static func text(_ path: FilePath) throws(ImagesError) -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    static func bytes(_ path: FilePath) throws(ImagesError) -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path.string)))
        } catch {
            throw .fileFailed(path: path.string, action: "read", why: reason(error))
        }
    }

    /// Writes beside the file and renames, so that a reader never sees half of it.
    static func write(_ bytes: [UInt8], to path: FilePath) throws(ImagesError) {
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: path.string), options: .atomic)
        } catch {
            throw .fileFailed(path: path.string, action: "write", why: reason(error))
        }
    }

    static func write(_ text: String, to path: FilePath) throws(ImagesError) { try write(Array(text.utf8), to: path) }

    static func makeFolder(_ path: FilePath) throws(ImagesError) {
        do {
            try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
        } catch {
            throw .fileFailed(path: path.string, action: "make the folder", why: reason(error))
        }
    }

    static func rename(_ path: FilePath, to target: FilePath) throws(ImagesError) {
        do {
            try FileManager.default.moveItem(atPath: path.string, toPath: target.string)
        } catch {
            throw .fileFailed(path: path.string, action: "rename", why: reason(error))
        }
    }

    static func copy(_ path: FilePath, to target: FilePath) throws(ImagesError) {
        do {
            try FileManager.default.copyItem(atPath: path.string, toPath: target.string)
        } catch {
            throw .fileFailed(path: path.string, action: "copy to \(target)", why: reason(error))
        }
    }

    static func link(_ path: FilePath, to destination: String) throws(ImagesError) {
        do {
            try makeFolder(path.removingLastComponent())
            try? FileManager.default.removeItem(atPath: path.string)
            try FileManager.default.createSymbolicLink(atPath: path.string, withDestinationPath: destination)
        } catch {
            throw .fileFailed(path: path.string, action: "make the symbolic link", why: reason(error))
        }
    }

    static func setMode(_ mode: Int, of path: FilePath) throws(ImagesError) {
        do {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path.string)
        } catch {
            throw .fileFailed(path: path.string, action: "set the mode", why: reason(error))
        }
    }

    /// Removes a tree. Packages bring folders that are not writable for their owner, which only `rm` as root would
    /// pass over; so those are made writable first.
    static func removeTree(_ path: FilePath) throws(ImagesError) {
        guard (try? FileManager.default.attributesOfItem(atPath: path.string)) != nil else { return }
        if (try? FileManager.default.removeItem(atPath: path.string)) != nil { return }
        for item in try tree(path) where item.type == .folder {
            try setMode(item.mode | 0o700, of: path.appending(item.path))
        }
        do {
            try FileManager.default.removeItem(atPath: path.string)
        } catch {
            throw .fileFailed(path: path.string, action: "remove", why: reason(error))
        }
    }

    /// Names in a folder, sorted; empty when there is no such folder.
    static func names(in path: FilePath) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path.string)) ?? []).sorted()
    }

    static func size(_ path: FilePath) -> Int? {
        (try? FileManager.default.attributesOfItem(atPath: path.string))?[.size] as? Int
    }

    static func modified(_ path: FilePath) -> Date? {
        (try? FileManager.default.attributesOfItem(atPath: path.string))?[.modificationDate] as? Date
    }

    static func resolvingLinks(_ path: FilePath) -> FilePath {
        FilePath(URL(fileURLWithPath: path.string).resolvingSymlinksInPath().path)
    }

    static func linkTarget(_ path: FilePath) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path.string)
    }

    static func absolute(_ path: String, from folder: FilePath) -> FilePath {
        let given = FilePath(path)
        return given.isAbsolute ? given : folder.appending(path).lexicallyNormalized()
    }

    /// One object below a folder.
    struct Item: Sendable {
        enum Kind: Sendable { case file, folder, link, other }
        let path: String
        let type: Kind
        let size: Int
        let mode: Int
        let modified: Date
    }

    /// Everything below a folder (or a link to one), sorted by path; links in it are not followed.
    static func tree(_ root: FilePath) throws(ImagesError) -> [Item] {
        // Of a link to a folder the enumerator would list nothing, and two different folders would count as equal.
        guard let walk = FileManager.default.enumerator(atPath: resolvingLinks(root).string) else {
            throw .inputUnreadable(path: root.string, why: "it is no readable folder")
        }
        var items: [Item] = []
        while let path = walk.nextObject() as? String {
            let attributes = walk.fileAttributes ?? [:]
            let kind: Item.Kind =
                switch attributes[.type] as? FileAttributeType {
                case FileAttributeType.typeRegular: .file
                case FileAttributeType.typeDirectory: .folder
                case FileAttributeType.typeSymbolicLink: .link
                default: .other
                }
            items.append(
                Item(
                    path: path, type: kind, size: attributes[.size] as? Int ?? 0,
                    mode: attributes[.posixPermissions] as? Int ?? 0,
                    modified: attributes[.modificationDate] as? Date ?? .distantPast))
        }
        return items.sorted { $0.path < $1.path }
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return (underlying ?? error as NSError).localizedDescription
    }
}

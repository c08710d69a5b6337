internal import CRImage

/// What many processes refer to, by its number.
final class RestoreRecords {
    let fileTables: [UInt32: FileTableRecord]
    let fileSystems: [UInt32: FileSystemRecord]
    let signalTables: [UInt32: SignalTableRecord]
    let addressSpaces: [UInt32: AddressSpaceRecord]

    init(_ contents: ImageContents) {
        fileTables = Self.byNumber(contents.fileTables, \.number)
        fileSystems = Self.byNumber(contents.fileSystems, \.number)
        signalTables = Self.byNumber(contents.signalTables, \.number)
        addressSpaces = Self.byNumber(contents.addressSpaces, \.number)
    }

    private static func byNumber<Record>(_ records: [Record], _ number: KeyPath<Record, UInt32>) -> [UInt32: Record] {
        Dictionary(records.map { ($0[keyPath: number], $0) }, uniquingKeysWith: { first, _ in first })
    }
}

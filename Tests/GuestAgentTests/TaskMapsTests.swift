import Testing

@testable import GuestAgent

@Suite("page maps of ended tasks")
struct TaskMapsTests {
    static let maps = TaskMaps(processes: [
        .init(
            process: 1001, comms: ["main", "worker"],
            maps: """
                00400000-00401000 r-xp 00001000 fe:00 12 /opt/a
                7ffe00000000-7ffe00001000 r-xp 00000000 00:00 0 [vdso]

                """),
        .init(process: 1002, comms: ["other"], maps: "00400000-00401000 r-xp 00000000 fe:00 13 /opt/b\n"),
        .init(process: 1003, comms: ["broken"], maps: "no maps at all"),
    ])

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var address: UInt64
        var process: Int32?
        var comm: String
        var found: String?
        var testDescription: String { name }
    }

    @Test(
        "an address is found in the right process",
        arguments: [
            Case(name: "by PID", address: 0x400010, process: 1002, comm: "", found: "1002 /opt/b"),
            Case(name: "by a thread's name", address: 0x400fff, process: nil, comm: "worker", found: "1001 /opt/a"),
            Case(
                name: "by nothing but the address", address: 0x7ffe_0000_0000, process: nil, comm: "new",
                found: "1001 [vdso]"),
            Case(name: "outside all", address: 0x401000, process: nil, comm: "main", found: nil),
            Case(name: "not in that PID", address: 0x7ffe_0000_0000, process: 1002, comm: "main", found: nil),
            Case(name: "unreadable maps", address: 0x400010, process: 1003, comm: "broken", found: nil),
        ])
    func lookup(_ c: Case) {
        let found = Self.maps.mapping(at: c.address, process: c.process, comm: c.comm)
        #expect(found.map { "\($0.process) \($0.mapping.name)" } == c.found)
    }
}

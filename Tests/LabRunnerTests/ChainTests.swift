import CRModel
import Testing

@testable import LabRunner

struct ChainTests {
    @Test("a chain's dump is made from those on its way")
    func way() {
        let key = DumpKey(runtime: .native, workload: "w", source: "a", via: ["b", "c"])
        #expect(Runner.way(to: key).map(\.via) == [["b", "c"], ["b"], []])
        #expect(Runner.way(to: key).map(\.host) == ["c", "b", "a"])
    }
}

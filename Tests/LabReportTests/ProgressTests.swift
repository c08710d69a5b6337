import CRModel
import LabReport
import Testing

@Suite("progress")
struct ProgressTests {
    @Test("one line for each cell, and a line that says where the run is")
    func lines() {
        var progress = ProgressRenderer()
        #expect(progress.statusLine(at: 0) == nil)
        var lines = progress.take(.started(id: "r1", cells: 192, finished: 12), at: 100)
        let cells = Synthetic.quickstart().cells
        lines += progress.take(.guest("haswell", purpose: "dump", running: true), at: 101)
        for (index, cell) in cells.prefix(4).enumerated() {
            lines += progress.take(.cell(cell, finished: 13 + index, of: 192), at: 104)
        }
        #expect(
            lines == [
                "run r1: 192 cells, 12 of them finished earlier",
                "[ 13/192] ✓ avx2-dispatch haswell → haswell: restored",
                "[ 14/192] ✓ avx2-dispatch haswell → haswell-6.12: restored",
                "[ 15/192] ✗ avx2-dispatch haswell → nehalem: broke: cpu.instruction-missing",
                "[ 16/192] ✗ avx2-dispatch haswell → sandybridge: broke: cpu.instruction-missing",
            ])
        #expect(
            progress.statusLine(at: 108)
                == "━┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 16/192  ✓ 2  ✗ 2  30/min  5 min 52 s left  [haswell dump]")
        #expect(progress.statusLine(at: 108, columns: 30)?.count == 29)
    }

    @Test("unexpected cells and lab failures are worth a line on a terminal too")
    func kept() throws {
        let results = Synthetic.quickstart()
        let kept = results.cells.filter(ProgressRenderer.isWorthKeeping)
        #expect(kept.count == 2)
        var progress = ProgressRenderer()
        for cell in kept { _ = progress.take(.cell(cell, finished: 1, of: 2), at: 0) }
        #expect(progress.statusLine(at: 0)?.contains("! 1") == true)
    }

    @Test("a name cannot drive the terminal")
    func hostile() {
        var progress = ProgressRenderer()
        let lines = progress.take(.note("a\u{1b}[2Jb"), at: 0)
        #expect(lines == ["a\u{fffd}[2Jb"])
    }
}

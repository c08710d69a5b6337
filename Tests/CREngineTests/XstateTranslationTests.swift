import CRImage
import Testing

@testable import CREngine

struct XstateTranslationTests {
    static let avx: XstateTranslation.Layout = [2: (576, 256)]
    static let avxAndKeys: XstateTranslation.Layout = [2: (576, 256), 9: (2688, 8)]

    /// An extended area of `size` bytes with XSTATE_BV `present` and XCR0 `enabled`.
    static func area(_ size: Int, present: UInt64, enabled: UInt64, fill: [Int: UInt8] = [:]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.replaceSubrange(464..<472, with: [enabled].littleEndianBytes)
        bytes.replaceSubrange(512..<520, with: [present].littleEndianBytes)
        for (index, value) in fill { bytes[index] = value }
        return bytes
    }

    static func task(_ xstate: [UInt8], _ kind: XstateKind = .extended) -> TaskRecord {
        var task = TaskRecord()
        task.xstateKind = kind
        task.xstate = xstate
        return task
    }

    @Test("a component counts as used only when it holds something")
    func use() {
        let clean = Self.task(Self.area(832, present: 7, enabled: 7))
        #expect(XstateTranslation.componentsInUse(clean, layout: Self.avx).isEmpty)
        let used = Self.task(Self.area(832, present: 7, enabled: 7, fill: [700: 1]))
        #expect(XstateTranslation.componentsInUse(used, layout: Self.avx) == [2])
        let stale = Self.task(Self.area(832, present: 3, enabled: 7, fill: [700: 1]))
        #expect(XstateTranslation.componentsInUse(stale, layout: Self.avx).isEmpty)
    }

    @Test("Linux's default protection keys are no use of them")
    func keys() {
        let fill: [Int: UInt8] = [2688: 0x54, 2689: 0x55, 2690: 0x55, 2691: 0x55]
        let fresh = Self.task(Self.area(2696, present: 0x207, enabled: 0x207, fill: fill))
        #expect(XstateTranslation.componentsInUse(fresh, layout: Self.avxAndKeys).isEmpty)
        let own = Self.task(Self.area(2696, present: 0x207, enabled: 0x207, fill: [2688: 0x50]))
        #expect(XstateTranslation.componentsInUse(own, layout: Self.avxAndKeys) == [9])
    }

    @Test("a component of unknown place counts by its bit")
    func unknown() {
        let task = Self.task(Self.area(832, present: 7 | 1 << 18, enabled: 7))
        #expect(XstateTranslation.componentsInUse(task, layout: Self.avx) == [18])
    }

    @Test("an area is cut to what this host has, and its kernel's words stay")
    func shrink() {
        let source = Self.task(Self.area(2696, present: 0x207, enabled: 0x207, fill: [10: 5, 600: 6, 2688: 7]))
        let template = Self.area(832, present: 3, enabled: 7)
        let result = XstateTranslation.translate(
            source, source: Self.avxAndKeys, destination: Self.avx, template: template, hasXsave: true)
        #expect(result.count == 832)
        #expect(result[10] == 5)
        #expect(result[600] == 6)
        #expect(result.word(at: 464) == 7)
        #expect(result.word(at: 512) == 7)
    }

    @Test("components move to where this CPU keeps them")
    func move() {
        let source = Self.task(Self.area(840, present: 0x207, enabled: 0x207, fill: [832: 0x50]))
        let result = XstateTranslation.translate(
            source, source: [2: (576, 256), 9: (832, 8)], destination: Self.avxAndKeys,
            template: Self.area(2696, present: 0x207, enabled: 0x207), hasXsave: true)
        #expect(result[2688] == 0x50)
        #expect(result.word(at: 512) == 0x207)
    }

    @Test("a task from a CPU without protection keys gets the default ones")
    func freshKeys() {
        let source = Self.task(Self.area(832, present: 7, enabled: 7))
        let result = XstateTranslation.translate(
            source, source: Self.avx, destination: Self.avxAndKeys,
            template: Self.area(2696, present: 0x203, enabled: 0x207, fill: [2688: 0x54]), hasXsave: true)
        #expect(result[2688] == 0x54)
        #expect(result.word(at: 512) == 0x207)
    }

    @Test("without XSAVE on one side the legacy area is carried")
    func legacy() {
        let full = Self.task(Self.area(832, present: 7, enabled: 7, fill: [20: 9]))
        let down = XstateTranslation.translate(
            full, source: Self.avx, destination: [:], template: [], hasXsave: false)
        #expect(down.count == 512)
        #expect(down[20] == 9)
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes[20] = 9
        let up = XstateTranslation.translate(
            Self.task(bytes, .floatingPoint), source: [:], destination: Self.avx,
            template: Self.area(832, present: 3, enabled: 7), hasXsave: true)
        #expect(up[20] == 9)
        #expect(up.word(at: 512) == 3)
    }
}

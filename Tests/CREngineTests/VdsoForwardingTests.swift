import LinuxKit
import Testing

@testable import CREngine

struct VdsoForwardingTests {
    @Test("every entry point of this kernel's vDSO gets a jump to itself")
    func own() throws {
        let image = Host.vdso()
        try #require(!image.isEmpty)
        let plan = try VdsoForwarding.plan(old: image, new: image, newBase: 0x7000_0000_0000)
        let addresses = try ELFFile(image).symbols.filter(\.isFunction).map(\.address)
        #expect(plan.replaced.isEmpty)
        #expect(plan.untouched.isEmpty)
        #expect(Set(plan.patches.map(\.offset)) == Set(addresses))
        for patch in plan.patches {
            #expect(patch.bytes == VdsoForwarding.jump(to: 0x7000_0000_0000 + patch.offset))
        }
    }

    @Test("code is what it should be")
    func code() {
        #expect(VdsoForwarding.jump(to: 0x1122_3344_5566_7788).count == 14)
        #expect(VdsoForwarding.stub(228) == [0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3])
    }

    @Test("what is no ELF image is an error")
    func garbage() {
        #expect(throws: LinuxError.self) {
            try VdsoForwarding.plan(old: [UInt8](repeating: 0, count: 8192), new: Host.vdso(), newBase: 0)
        }
    }
}

struct FreeRangeTests {
    @Test("the engine's pages lie where nothing else does")
    func free() throws {
        #expect(RestoreTree.freeRange([], []) == 1 << 40)
        let taken = try ProcParser.mappings("10000000000-10000001000 r--p 00000000 00:00 0 \n")
        let found = RestoreTree.freeRange([], taken)
        #expect(found == taken[0].end + (16 << 20))
    }
}

internal import LinuxKit

/// Makes an old vDSO usable on another kernel: its pages stay where the workload latched their addresses, and each entry
/// point jumps to the function of the same name in the vDSO of this kernel.
enum VdsoForwarding {
    /// Bytes to write over the old vDSO.
    struct Patch: Hashable {
        /// From the start of the old vDSO.
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// What became of the entry points.
    struct Plan: Hashable {
        var patches: [Patch] = []
        /// Entry points that now make the system call themselves, since this kernel's vDSO lacks them.
        var replaced: [String] = []
        /// Entry points that stay as they were: nothing is known of them, or they have no room for a jump.
        var untouched: [String] = []
    }

    /// Entry point to the system call that does the same.
    private static let systemCalls: [String: UInt32] = [
        "__vdso_clock_gettime": 228, "__vdso_gettimeofday": 96, "__vdso_time": 201, "__vdso_getcpu": 309,
        "__vdso_clock_getres": 229, "__vdso_getrandom": 318,
    ]

    /// - Parameters:
    ///   - old: The source's vDSO, all of its pages.
    ///   - new: This kernel's vDSO.
    ///   - newBase: Where the new one is mapped in the task.
    /// - Throws: `LinuxError.malformed` when one of them is no ELF image.
    static func plan(old: [UInt8], new: [UInt8], newBase: UInt64) throws(LinuxError) -> Plan {
        let from = try entryPoints(old, "vDSO of the image")
        let to = Dictionary(
            try entryPoints(new, "vDSO of this kernel").map { ($0.name, $0.address) }, uniquingKeysWith: { a, _ in a })
        var plan = Plan()
        let addresses = Set(from.map(\.address)).sorted()
        for (index, address) in addresses.enumerated() {
            let names = from.filter { $0.address == address }.map(\.name).sorted()
            guard let name = names.first(where: { $0.hasPrefix("__vdso_") }) ?? names.first else { continue }
            let end = index + 1 < addresses.count ? addresses[index + 1] : UInt64(old.count)
            let room = end - address
            let code: [UInt8]
            if let target = names.compactMap({ to[$0] }).first {
                code = jump(to: newBase &+ target)
            } else if let number = names.compactMap({ systemCalls[$0] }).first {
                code = number == 318 ? randomStub : stub(number)
                plan.replaced.append(name)
            } else {
                plan.untouched.append(name)
                continue
            }
            guard UInt64(code.count) <= room, address + UInt64(code.count) <= UInt64(old.count) else {
                plan.untouched.append(name)
                continue
            }
            plan.patches.append(Patch(offset: address, bytes: code))
        }
        return plan
    }

    private static func entryPoints(_ image: [UInt8], _ name: String) throws(LinuxError) -> [ELFFile.Symbol] {
        let file = try ELFFile(image, name: name)
        let base = file.lowestAddress
        var seen: Set<String> = []
        var found: [ELFFile.Symbol] = []
        for var symbol in file.symbols where symbol.isFunction && symbol.address >= base {
            symbol.address -= base
            if symbol.address < UInt64(image.count), seen.insert(symbol.name).inserted { found.append(symbol) }
        }
        return found
    }

    /// `jmp *0(%rip)` and the address: no register is changed.
    static func jump(to address: UInt64) -> [UInt8] { [0xff, 0x25, 0, 0, 0, 0] + [address].littleEndianBytes }

    /// `mov $number, %eax; syscall; ret`: the arguments of these functions are the calls' own.
    static func stub(_ number: UInt32) -> [UInt8] {
        [0xb8] + (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } + [0x0f, 0x05, 0xc3]
    }

    /// getrandom asks with `opaque_len == -1` how large its state is; a raw call would answer nonsense, ENOSYS makes the
    /// C library use the system call.
    private static let randomStub: [UInt8] =
        [0x49, 0x83, 0xf8, 0xff, 0x75, 0x08, 0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, 0xc3] + stub(318)
}

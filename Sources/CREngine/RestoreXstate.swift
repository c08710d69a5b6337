internal import CRImage

/// The extended state of a task, carried from one CPU's layout to another's.
///
/// - Source: Intel SDM volume 1, chapter 13: legacy area 512 bytes, header at 512 (XSTATE_BV, XCOMP_BV), components at
///   the offsets that CPUID leaf 0xD gives; `arch/x86/include/uapi/asm/sigcontext.h`: the kernel keeps XCR0 at 464.
enum XstateTranslation {
    /// Where components lie: number to offset and size.
    typealias Layout = [UInt32: (offset: Int, sizeBytes: Int)]

    static let legacyBytes = 512
    static let headerBytes = 64
    private static let softwareReserved = 464..<512
    private static let protectionKeys: UInt32 = 9
    /// `init_pkru`: what Linux gives to every task, so no sign of use.
    private static let defaultKeys: UInt64 = 0x5555_5554

    /// Component names for messages.
    static func name(_ component: UInt32) -> String {
        let names: [UInt32: String] = [
            0: "x87", 1: "sse", 2: "avx", 3: "mpx-bndregs", 4: "mpx-bndcsr", 5: "avx512-opmask", 6: "avx512-zmm-hi256",
            7: "avx512-hi16-zmm", 8: "pt", 9: "pku", 10: "pasid", 11: "cet-user", 12: "cet-kernel", 17: "amx-tilecfg",
            18: "amx-tiledata", 19: "apx",
        ]
        return names[component] ?? "component-\(component)"
    }

    /// The components beyond x87 and SSE that hold something.
    ///
    /// XSTATE_BV alone says too much: emulated CPUs set every bit, and so may the kernel. So a component counts only when
    /// its bytes differ from the state that a fresh task has.
    static func componentsInUse(_ task: TaskRecord, layout: Layout) -> Set<UInt32> {
        guard task.xstateKind == .extended, task.xstate.count >= legacyBytes + headerBytes else { return [] }
        let present = task.xstate.word(at: 512)
        var found: Set<UInt32> = []
        for component in UInt32(2)..<63 where present >> UInt64(component) & 1 != 0 {
            guard let place = layout[component], place.offset + place.sizeBytes <= task.xstate.count else {
                // Bytes of an unknown place: the bit has to do.
                found.insert(component)
                continue
            }
            if component == protectionKeys {
                let keys = UInt64(task.xstate.half(at: place.offset))
                if keys != 0, keys != defaultKeys { found.insert(component) }
            } else if task.xstate[place.offset..<(place.offset + place.sizeBytes)].contains(where: { $0 != 0 }) {
                found.insert(component)
            }
        }
        return found
    }

    /// The regset of a task in the form of this host's kernel.
    ///
    /// - Parameters:
    ///   - template: The same regset of a fresh task here: it has the right size and XCR0.
    ///   - hasXsave: Whether `template` is `NT_X86_XSTATE` rather than the 512 bytes of `NT_PRFPREG`.
    static func translate(
        _ task: TaskRecord, source: Layout, destination: Layout, template: [UInt8], hasXsave: Bool
    ) -> [UInt8] {
        guard hasXsave, template.count >= legacyBytes + headerBytes else {
            return Array(task.xstate.prefix(legacyBytes))
        }
        var result = [UInt8](repeating: 0, count: template.count)
        result.replaceSubrange(0..<legacyBytes, with: task.xstate[0..<legacyBytes])
        result.replaceSubrange(softwareReserved, with: template[softwareReserved])
        let enabled = template.word(at: softwareReserved.lowerBound)
        var present: UInt64 = 3
        if task.xstateKind == .extended, task.xstate.count >= legacyBytes + headerBytes {
            present = task.xstate.word(at: 512) & enabled
        }
        for component in UInt32(2)..<63 where present >> UInt64(component) & 1 != 0 {
            guard let from = source[component], let to = destination[component], from.sizeBytes == to.sizeBytes,
                from.offset + from.sizeBytes <= task.xstate.count, to.offset + to.sizeBytes <= result.count
            else {
                present &= ~(1 << UInt64(component))
                continue
            }
            result.replaceSubrange(
                to.offset..<(to.offset + to.sizeBytes),
                with: task.xstate[from.offset..<(from.offset + from.sizeBytes)])
        }
        // A source without protection keys: give what Linux gives to a fresh task, not "everything allowed".
        if enabled >> UInt64(protectionKeys) & 1 != 0, present >> UInt64(protectionKeys) & 1 == 0,
            let keys = destination[protectionKeys], keys.offset + 4 <= result.count, keys.offset + 4 <= template.count
        {
            result.replaceSubrange(keys.offset..<(keys.offset + 4), with: template[keys.offset..<(keys.offset + 4)])
            present |= template.word(at: 512) & (1 << UInt64(protectionKeys))
        }
        result.replaceSubrange(512..<520, with: [present].littleEndianBytes)
        return result
    }
}

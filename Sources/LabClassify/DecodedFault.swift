import CRModel

/// A fault with its instruction decoded and its place in words.
struct DecodedFault {
    let fault: FaultEvidence
    /// `nil` when the bytes could not be read or are no instruction.
    let instruction: Instruction?

    init(fault: FaultEvidence) {
        self.fault = fault
        instruction = Instruction.decode(hex: fault.bytes, address: fault.instructionPointer)
    }

    /// `libc.so.6 (in __strlen_avx2+0x11)`, `libc.so.6 at file offset 0x156219`, `an anonymous (JIT) page`.
    var location: String {
        guard !fault.mapping.isEmpty else {
            return fault.bytes.isEmpty ? "an address that cannot be read" : "an anonymous (JIT) page"
        }
        let name = fault.mapping.split(separator: "/").last.map(String.init) ?? fault.mapping
        // In a stripped library the nearest exported symbol can be another function, kilobytes away.
        guard !fault.symbol.isEmpty, isInSymbol else {
            return name + (fault.fileOffset.map { " at file offset \(Text.hex($0))" } ?? "")
        }
        return "\(name) (in \(fault.symbol)\(fault.symbolOffset.map { "+\(Text.hex($0))" } ?? ""))"
    }

    /// Without a size, as in assembly without annotations, a page is taken for the longest function.
    private var isInSymbol: Bool {
        let size = fault.symbolBytes ?? 0
        return (fault.symbolOffset ?? 0) < (size > 0 ? size : 0x1000)
    }

    /// `vpcmpeqb ymm1, ymm0, [rdi]`; the bytes where they are no instruction.
    var instructionText: String {
        instruction?.text ?? (fault.bytes.isEmpty ? "bytes not readable" : "no instruction: \(fault.bytes)")
    }

    var evidence: [EvidenceItem] {
        var items = [
            EvidenceItem(
                kind: "signal",
                text: "task \(fault.task) (\(fault.comm)) got \(Text.signal(fault.signal)) at "
                    + Text.hex(fault.instructionPointer))
        ]
        if let instruction {
            items.append(
                EvidenceItem(
                    kind: "instruction",
                    text: "\(instruction.text) [\(instruction.isaExtension)], bytes "
                        + String(fault.bytes.prefix(2 * instruction.length))))
        } else {
            items.append(EvidenceItem(kind: "instruction", text: instructionText))
        }
        let build = fault.buildID.isEmpty ? "" : ", build-id \(fault.buildID)"
        let offset = fault.fileOffset.map { ", file offset \(Text.hex($0))" } ?? ""
        items.append(
            EvidenceItem(
                kind: "mapping",
                text: fault.mapping.isEmpty ? location : fault.mapping + offset + build))
        if !fault.symbol.isEmpty {
            items.append(
                EvidenceItem(
                    kind: "symbol",
                    text: "nearest: " + fault.symbol + (fault.symbolOffset.map { "+\(Text.hex($0))" } ?? "")))
        }
        return items
    }
}

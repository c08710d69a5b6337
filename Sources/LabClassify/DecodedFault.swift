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

    /// Faults with their places. A task that was gone before its memory map could be read has none; another task of
    /// the tree that died of the same bytes at the same address (a fork) has the same.
    static func located(_ faults: [FaultEvidence]) -> [DecodedFault] {
        faults.map { fault in
            guard fault.mapping.isEmpty, !fault.bytes.isEmpty else { return DecodedFault(fault: fault) }
            let twin = faults.first {
                !$0.mapping.isEmpty && $0.comm == fault.comm && $0.bytes == fault.bytes
                    && $0.instructionPointer == fault.instructionPointer
            }
            guard let twin else { return DecodedFault(fault: fault) }
            var located = fault
            located.mapping = twin.mapping
            located.fileOffset = twin.fileOffset
            located.buildID = twin.buildID
            located.symbol = twin.symbol
            located.symbolOffset = twin.symbolOffset
            located.symbolBytes = twin.symbolBytes
            return DecodedFault(fault: located)
        }
    }

    /// `libc.so.6 (in __strlen_avx2+0x11)`, `libc.so.6 at file offset 0x156219`, `a page without a known file`.
    var location: String {
        guard !fault.mapping.isEmpty else {
            return fault.bytes.isEmpty ? "an address that cannot be read" : "a page without a known file"
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

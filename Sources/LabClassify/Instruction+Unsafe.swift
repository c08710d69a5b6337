import CZydis

/// What the decoder itself says about one instruction; the only place that touches its C interface.
struct RawInstruction {
    enum Encoding { case legacy, vex, evex, other }

    let text: String
    let mnemonic: String
    let isaExtension: String
    let isaSet: String
    let length: Int
    let encoding: Encoding
    /// Whether an operand is a vector or mask register; tells `vpxor` from the VEX-encoded `andn`.
    let usesVectorRegisters: Bool
    /// Whether all vector-like operands are mask registers (`kmovw`), which belong to AVX-512 though VEX-encoded.
    let usesMasksOnly: Bool

    static func decode(bytes: [UInt8], address: UInt64) -> RawInstruction? {
        var instruction = ZydisDisassembledInstruction()
        // SAFETY: the buffer lives during the call and its length is passed; the result is ours and fully written by
        // the decoder when it succeeds.
        let status = bytes.withUnsafeBytes {
            ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, address, $0.baseAddress, $0.count, &instruction)
        }
        // Zycore encodes failure in the top bit (ZYAN_SUCCESS is a macro, so Swift cannot import it).
        guard status & 0x8000_0000 == 0 else { return nil }
        let info = instruction.info
        let count = Int(info.operand_count)
        // SAFETY: `operands` is a C array of ZYDIS_MAX_OPERAND_COUNT elements imported as a tuple, `text` one of 96
        // characters that the decoder ended with a zero; both are read inside the closures only.
        let classes = withUnsafeBytes(of: &instruction.operands) { raw in
            raw.bindMemory(to: ZydisDecodedOperand.self).prefix(count)
                .filter { $0.type == ZYDIS_OPERAND_TYPE_REGISTER }
                .map { ZydisRegisterGetClass($0.reg.value) }
        }
        let text = withUnsafeBytes(of: &instruction.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let vectors = classes.filter {
            $0 == ZYDIS_REGCLASS_XMM || $0 == ZYDIS_REGCLASS_YMM || $0 == ZYDIS_REGCLASS_ZMM
        }
        let isaSet = name(ZydisISASetGetString(info.meta.isa_set))
        // `vzeroupper` and `vldmxcsr` name no vector register, yet belong to AVX.
        let isAVX = isaSet.hasPrefix("AVX")
        let masks = classes.contains(ZYDIS_REGCLASS_MASK)
        return RawInstruction(
            text: text, mnemonic: name(ZydisMnemonicGetString(info.mnemonic)),
            isaExtension: name(ZydisISAExtGetString(info.meta.isa_ext)), isaSet: isaSet,
            length: Int(info.length),
            encoding: encoding(info.encoding),
            usesVectorRegisters: !vectors.isEmpty || masks || isAVX,
            usesMasksOnly: masks && vectors.isEmpty)
    }

    /// XOP is AMD's form of VEX and depends on the same state.
    private static func encoding(_ raw: ZydisInstructionEncoding) -> Encoding {
        switch raw {
        case ZYDIS_INSTRUCTION_ENCODING_LEGACY: .legacy
        case ZYDIS_INSTRUCTION_ENCODING_VEX, ZYDIS_INSTRUCTION_ENCODING_XOP: .vex
        case ZYDIS_INSTRUCTION_ENCODING_EVEX: .evex
        default: .other
        }
    }

    private static func name(_ text: UnsafePointer<CChar>?) -> String {
        // SAFETY: the decoder returns static, zero-terminated strings, or null for a value out of range.
        text.map { String(cString: $0) } ?? ""
    }
}

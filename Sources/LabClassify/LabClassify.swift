import CZydis
func zydisVersion() -> UInt64 { ZydisGetVersion() }

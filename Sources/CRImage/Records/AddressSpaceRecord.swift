/// One address space: its marks and its VMAs. Its pages follow in page runs whose target is its number.
public struct AddressSpaceRecord: ImageValue {
    public var number: UInt32 = 0
    /// PR_SET_MM's marks.
    public var startCode: UInt64 = 0
    public var endCode: UInt64 = 0
    public var startData: UInt64 = 0
    public var endData: UInt64 = 0
    /// Start of the heap, where brk(2) began.
    public var startBreak: UInt64 = 0
    /// The current program break.
    public var programBreak: UInt64 = 0
    public var startStack: UInt64 = 0
    public var argumentsStart: UInt64 = 0
    public var argumentsEnd: UInt64 = 0
    public var environmentStart: UInt64 = 0
    public var environmentEnd: UInt64 = 0
    /// The auxiliary vector, AT_NULL included.
    public var auxiliaryVector: [UInt64] = []
    /// Number of the ``InodeRecord`` of the program, `/proc/PID/exe`.
    public var executable: UInt32 = 0
    /// PR_GET_DUMPABLE: 0, 1 or 2.
    public var dumpable: UInt32 = 1
    /// PR_GET_THP_DISABLE.
    public var hugePagesDisabled = false
    /// PR_THP_DISABLE_EXCEPT_ADVISED goes with it.
    public var hugePagesIfAdvised = false
    /// Whether some of its pages were transparent huge ones; if not, restore makes none while it fills the memory.
    public var hasHugePages = false
    /// mlockall(2) for mappings to come: MCL_FUTURE 2, MCL_ONFAULT 4; 0 for none.
    public var futureLock: UInt32 = 0
    /// Guard pages (MADV_GUARD_INSTALL): pairs of start and end, ascending.
    public var guards: [UInt64] = []
    /// mbind(2): start, end, mode with its flags, and a mask of nodes, of each VMA that has a policy of its own.
    public var memoryPolicies: [UInt64] = []
    /// `/proc/PID/coredump_filter`.
    public var coreDumpFilter: UInt32 = 0x33
    /// Private pages that are those of the process which restore forks this one from: pairs of start and end, ascending.
    /// The image holds them once, in the other address space, before all other pages.
    public var inherited: [UInt64] = []
    /// Ascending, without overlap. Special mappings of the kernel (`[vdso]`, `[vvar]`) are among them, `[vsyscall]` not.
    public var vmas: [VMAValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.hex("startCode", &startCode)
        try fields.hex("endCode", &endCode)
        try fields.hex("startData", &startData)
        try fields.hex("endData", &endData)
        try fields.hex("startBreak", &startBreak)
        try fields.hex("programBreak", &programBreak)
        try fields.hex("startStack", &startStack)
        try fields.hex("argumentsStart", &argumentsStart)
        try fields.hex("argumentsEnd", &argumentsEnd)
        try fields.hex("environmentStart", &environmentStart)
        try fields.hex("environmentEnd", &environmentEnd)
        try fields.words("auxiliaryVector", &auxiliaryVector)
        try fields.number("executable", &executable)
        try fields.number("dumpable", &dumpable)
        try fields.flag("hugePagesDisabled", &hugePagesDisabled)
        try fields.flag("hugePagesIfAdvised", &hugePagesIfAdvised)
        try fields.flag("hasHugePages", &hasHugePages)
        try fields.number("futureLock", &futureLock)
        try fields.words("guards", &guards)
        try fields.words("memoryPolicies", &memoryPolicies)
        try fields.number("coreDumpFilter", &coreDumpFilter)
        try fields.words("inherited", &inherited)
        try fields.list("vmas", &vmas)
    }
}

/// What backs a VMA.
public enum VMAKind: UInt32, Sendable, Hashable {
    /// Private memory of the task: heap, stack, anonymous mappings.
    case anonymous = 1
    /// Private mapping of an inode; only pages that differ from it are in the image.
    case privateFile = 2
    /// Shared mapping of an inode: a file, a memfd, shared anonymous memory.
    case sharedFile = 3
    /// The vDSO. All its pages are in the image.
    case vdso = 4
    /// The data that the vDSO reads; never in the image.
    case vvar = 5
}

/// One VMA.
public struct VMAValue: ImageValue {
    /// What madvise(2), mlock(2) and mmap(2) flags said about the range.
    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// `gd`: a stack.
        public static let growsDown = Flags(rawValue: 1)
        /// `lo`: mlock(2).
        public static let locked = Flags(rawValue: 2)
        /// `nr`: MAP_NORESERVE.
        public static let noReserve = Flags(rawValue: 4)
        /// `dc`: MADV_DONTFORK.
        public static let dontFork = Flags(rawValue: 8)
        /// `dd`: MADV_DONTDUMP.
        public static let dontDump = Flags(rawValue: 16)
        /// `wf`: MADV_WIPEONFORK.
        public static let wipeOnFork = Flags(rawValue: 32)
        /// `mg`: MADV_MERGEABLE.
        public static let mergeable = Flags(rawValue: 64)
        /// `hg`: MADV_HUGEPAGE.
        public static let hugePages = Flags(rawValue: 128)
        /// `nh`: MADV_NOHUGEPAGE.
        public static let noHugePages = Flags(rawValue: 256)
        /// `sr`: MADV_SEQUENTIAL.
        public static let sequentialReads = Flags(rawValue: 512)
        /// `rr`: MADV_RANDOM.
        public static let randomReads = Flags(rawValue: 1024)
        /// A shared mapping that may be made writable (`mw`): its file must be opened for writing.
        public static let mayWrite = Flags(rawValue: 2048)
        /// `dp`: MAP_DROPPABLE; the kernel may take its pages at any time, so none of them is in the image.
        public static let droppable = Flags(rawValue: 4096)
        /// `lf`: mlock2(2) with MLOCK_ONFAULT.
        public static let lockedOnFault = Flags(rawValue: 8192)
    }

    public var start: UInt64 = 0
    public var end: UInt64 = 0
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4.
    public var protection: UInt32 = 0
    public var kind = VMAKind.anonymous
    public var flags: Flags = []
    /// Number of the ``InodeRecord`` that it maps; 0 for the other kinds.
    public var inode: UInt32 = 0
    public var fileOffset: UInt64 = 0
    /// Name of anonymous memory (PR_SET_VMA_ANON_NAME); empty for none.
    public var name = ""
    /// Binary logarithm of the size of its huge pages (MAP_HUGETLB); 0 for ordinary pages.
    public var hugePageShift: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.hex("start", &start)
        try fields.hex("end", &end)
        try fields.number("protection", &protection)
        try fields.choice("kind", &kind)
        var bits = flags.rawValue
        try fields.number("flags", &bits)
        flags = Flags(rawValue: bits)
        try fields.number("inode", &inode)
        try fields.hex("fileOffset", &fileOffset)
        try fields.text("name", &name)
        try fields.number("hugePageShift", &hugePageShift)
    }
}

/// What a real machine says about itself: the output of `crengine fingerprint`, which a lab turns into a host.
public struct MachineFingerprint: Codable, Hashable, Sendable {
    /// The form of this document; a reader refuses others.
    public static let schema = "crlab.fingerprint/1"

    /// One register of one CPUID leaf.
    public struct Leaf: Codable, Hashable, Sendable {
        public var leaf: UInt32
        public var subleaf: UInt32
        public var eax: UInt32
        public var ebx: UInt32
        public var ecx: UInt32
        public var edx: UInt32

        public init(leaf: UInt32, subleaf: UInt32, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
            self.leaf = leaf
            self.subleaf = subleaf
            self.eax = eax
            self.ebx = ebx
            self.ecx = ecx
            self.edx = edx
        }

        /// A register by its name in lower case.
        public subscript(_ register: String) -> UInt32 {
            switch register {
            case "eax": eax
            case "ebx": ebx
            case "ecx": ecx
            default: edx
            }
        }
    }

    /// A part of the extended state in the standard format.
    public struct State: Codable, Hashable, Sendable {
        /// Number of its bit in XCR0.
        public var component: Int
        /// From the start of the area, in bytes.
        public var offset: Int
        public var bytes: Int

        public init(component: Int, offset: Int, bytes: Int) {
            self.component = component
            self.offset = offset
            self.bytes = bytes
        }
    }

    /// A feature that CPUID shows, with its place.
    public struct Feature: Codable, Hashable, Sendable {
        public var name: String
        public var place: String

        public init(name: String, place: String) {
            self.name = name
            self.place = place
        }
    }

    public var schema: String
    public var host: HostFingerprint
    /// What CPUID itself shows, which programs see whatever the kernel's list says; unnamed bits are called `?`.
    public var features: [Feature]
    /// The leaves that features are in, as they are.
    public var cpuid: [Leaf]
    public var state: [State]
    /// Options of the kernel's build that matter to dump and restore; empty when its configuration cannot be read.
    public var kernelConfiguration: [String: String]
    /// Settings of the running kernel that matter to dump and restore.
    public var sysctl: [String: String]
    /// `v1`, `v2` or `mixed`; empty without any.
    public var cgroups: String
    /// Controllers of the root, sorted.
    public var cgroupControllers: [String]
    /// Active security modules in their order; empty when the kernel does not tell.
    public var securityModules: [String]

    public init(
        host: HostFingerprint, cpuid: [Leaf], state: [State], kernelConfiguration: [String: String],
        sysctl: [String: String], cgroups: String, cgroupControllers: [String], securityModules: [String]
    ) {
        schema = Self.schema
        self.host = host
        features = Self.features(in: cpuid)
        self.cpuid = cpuid
        self.state = state
        self.kernelConfiguration = kernelConfiguration
        self.sysctl = sysctl
        self.cgroups = cgroups
        self.cgroupControllers = cgroupControllers
        self.securityModules = securityModules
    }

    /// Reads a document, and checks that it is one of these.
    public init(text: String) throws {
        let value = try JSONParser.parse(text)
        guard value["schema"]?.text == Self.schema else {
            throw JSONError.shape(path: "schema", expected: "\(Self.schema): the output of `crengine fingerprint`")
        }
        self = try JSONCoder.decode(Self.self, from: value)
        // The leaves are what was measured; names may be those of an older table.
        features = Self.features(in: cpuid)
    }

    /// The leaves that a fingerprint needs.
    public static let leaves: [(leaf: UInt32, subleaf: UInt32)] =
        CPUFeature.all.reduce(into: []) { leaves, feature in
            if !leaves.contains(where: { $0.leaf == feature.leaf && $0.subleaf == feature.subleaf }) {
                leaves.append((feature.leaf, feature.subleaf))
            }
        }

    /// Every bit that is set in the registers that hold features.
    public static func features(in leaves: [Leaf]) -> [Feature] {
        var found: [Feature] = []
        for leaf in leaves {
            for register in ["eax", "ebx", "ecx", "edx"] {
                let known = CPUFeature.all.filter {
                    $0.leaf == leaf.leaf && $0.subleaf == leaf.subleaf && $0.register == register
                }
                guard !known.isEmpty, leaf[register] != 0 else { continue }
                for bit in 0..<32 where leaf[register] >> UInt32(bit) & 1 != 0 {
                    let feature = known.first { $0.bit == bit }
                    let place = CPUFeature.place(leaf.leaf, leaf.subleaf, register, bit)
                    // AMD repeats leaf 1 in 0x80000001 EDX: the same features once more.
                    if feature == nil, leaf.leaf == 0x8000_0001, register == "edx" { continue }
                    // OSXSAVE says that the kernel switched XSAVE on.
                    if feature == nil, leaf.leaf == 1, register == "ecx", bit == 27 { continue }
                    found.append(Feature(name: feature?.name ?? "?", place: place))
                }
            }
        }
        return found
    }
}

/// What the lab machine's own clock is.
enum LabClock {
    /// TSC frequency in kHz; 0 when it cannot be known, then guests measure it themselves.
    ///
    /// Under TCG a guest's TSC is the lab machine's. The kernel says it exactly in sysfs where it can; where the TSC's
    /// frequency is known from the hypervisor, `cpu MHz` is that and does not vary.
    static func tscKilohertz() -> Int {
        let exact = Descriptor.text(of: "/sys/devices/system/cpu/cpu0/tsc_freq_khz")
        if let value = Int(exact.prefix { $0.isNumber }), value > 0 { return value }
        return tscKilohertz(cpuinfo: Descriptor.text(of: "/proc/cpuinfo"))
    }

    static func tscKilohertz(cpuinfo: String) -> Int {
        var known = false
        var megahertz = 0.0
        var nominal = 0.0
        for line in cpuinfo.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            if line.hasPrefix("cpu MHz"), megahertz == 0 { megahertz = Double(value) ?? 0 }
            if line.hasPrefix("flags"), value.split(separator: " ").contains("tsc_known_freq") { known = true }
            if line.hasPrefix("model name"), let at = value.lastIndex(of: "@"), value.hasSuffix("GHz") {
                nominal = (Double(value[value.index(after: at)...].dropLast(3).filter { $0 != " " }) ?? 0) * 1000
            }
        }
        if known, megahertz > 0 { return Int((megahertz * 1000).rounded()) }
        return Int((nominal * 1000).rounded())
    }
}

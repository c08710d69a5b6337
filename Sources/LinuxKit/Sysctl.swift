/// Settings of the running kernel: `/proc/sys`.
public enum Sysctl {
    /// Changes a setting.
    ///
    /// - Parameter name: As `sysctl(8)` writes it: `kernel.pid_max`, or with slashes where a part has dots of its own
    ///   (`net/ipv4/conf/eth0.1/forwarding`).
    /// - Throws: `LinuxError` with the setting's file: there is no such setting, or the kernel takes no such value.
    public static func set(_ name: String, to value: String) throws(LinuxError) {
        try Files.write(Array((value + "\n").utf8), to: path(name))
    }

    /// What a setting is now, blanks as single spaces; `nil` when there is none or it cannot be read.
    public static func value(_ name: String) -> String? {
        (try? Files.text(of: path(name))).map(plain)
    }

    /// Equal for values that the kernel takes for equal: it answers with tabs between numbers.
    public static func plain(_ value: String) -> String {
        value.split { $0 == " " || $0 == "\t" || $0 == "\n" }.joined(separator: " ")
    }

    static func path(_ name: String) -> String {
        "/proc/sys/" + (name.contains("/") ? name : String(name.map { $0 == "." ? "/" : $0 }))
    }
}

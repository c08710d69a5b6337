/// How long each stage may take on a quiet machine; the runner stretches them by the slowdown it measures.
public struct Timeouts: Sendable, Hashable {
    /// From the start of QEMU to the agent's answer.
    public var boot: Duration
    /// From the start of a workload until it says that it is ready.
    public var ready: Duration
    public var dump: Duration
    /// Moving an image to the lab machine, or to the destination host.
    public var carry: Duration
    public var restore: Duration
    public var verify: Duration
    /// The whole run; `nil` for no limit. Never stretched: it is what a CI job allows.
    public var run: Duration?

    // Ten times what facts.md measured under emulation, and more where a loaded machine was seen to need it.
    public init(
        boot: Duration = .seconds(90), ready: Duration = .seconds(30), dump: Duration = .seconds(60),
        carry: Duration = .seconds(60), restore: Duration = .seconds(60), verify: Duration = .seconds(60),
        run: Duration? = nil
    ) {
        self.boot = boot
        self.ready = ready
        self.dump = dump
        self.carry = carry
        self.restore = restore
        self.verify = verify
        self.run = run
    }

    /// The same for a machine that is slower by a factor.
    ///
    /// - Parameter slowdown: 2 means everything takes twice as long; less than 1 and anything but a number counts as 1.
    public func scaled(by slowdown: Double) -> Timeouts {
        let factor = slowdown.isFinite ? min(max(slowdown, 1), 100) : 1
        return Timeouts(
            boot: boot * factor, ready: ready * factor, dump: dump * factor, carry: carry * factor,
            restore: restore * factor, verify: verify * factor, run: run)
    }
}

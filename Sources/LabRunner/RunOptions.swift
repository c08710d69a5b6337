/// How a run is made, beside what its scenario says.
public struct RunOptions: Sendable {
    /// Guests at the same time; more than the lab machine's processors gains nothing under emulation.
    public var guestsAtOnce: Int
    /// For everything from the command's start; `nil` for the scenario's own, which counts from the run's start.
    public var deadline: Duration?
    /// Keep the images of dumps in the run's folder.
    public var keepImages: Bool
    /// A fresh guest for every dump and every restore.
    public var isolate: Bool

    public init(guestsAtOnce: Int, deadline: Duration? = nil, keepImages: Bool = false, isolate: Bool = false) {
        self.guestsAtOnce = guestsAtOnce
        self.deadline = deadline
        self.keepImages = keepImages
        self.isolate = isolate
    }
}

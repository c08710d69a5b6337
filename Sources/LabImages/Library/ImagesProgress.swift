/// What host preparation is doing, for whoever shows it.
public enum ImagesProgress: Sendable, Equatable {
    /// Looks up which packages there are now.
    case resolving(ImageKind, name: String, suites: [String])
    /// Fetches packages; those already there are counted too.
    case fetching(ImageKind, name: String, packages: Int, bytes: Int)
    /// Builds; `step` is a short phrase.
    case building(ImageKind, name: String, step: String)
    /// An entry was built.
    case built(ImageKind, name: String, entry: String, milliseconds: Int)
    /// Nothing had to be done.
    case reused(ImageKind, name: String, entry: String)
    /// The mirror gave no answer, so versions resolved earlier are used.
    case stale(ImageKind, name: String, error: ImagesError)
    /// It is not to be had.
    case unavailable(ImageKind, name: String, error: ImagesError)
    /// It is used because it was named, though it is known to be bad.
    case suspect(ImageKind, name: String, why: String)
    /// A QEMU of the lab machine was looked at and passed over.
    case passedOver(path: String, version: String, why: String)
}

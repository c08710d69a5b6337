public import CRModel

/// Why a report could not be written or read.
public enum ReportError: Explained, Equatable {
    /// The text is not JSON, or JSON of another shape.
    case damaged(place: String, why: String)
    /// It is JSON of another schema.
    case wrongSchema(place: String, found: String)
    /// It was written by a newer crlab.
    case newerSchema(place: String, found: String)
    /// Some value could not be written as JSON.
    case notWritable(why: String)
    /// A template of this build is broken.
    case badTemplate(name: String, why: String)

    public var explanation: Explanation {
        switch self {
        case .damaged(let place, let why):
            Explanation(
                what: "cannot read results", at: place, why: why,
                next: "write them again from the run's folder: crlab report RUN --write")
        case .wrongSchema(let place, let found):
            Explanation(
                what: "cannot read results", at: place,
                why: found.isEmpty
                    ? "the file has no member 'schema'" : "its schema is '\(found)' and not '\(Results.schema)'",
                next: "name the results.json of a crlab run")
        case .newerSchema(let place, let found):
            Explanation(
                what: "cannot read results", at: place,
                why: "its schema is '\(found)'; this build (\(CrlabVersion.current)) reads '\(Results.schema)'",
                next: "use the crlab that wrote it, or a newer one")
        case .notWritable(let why):
            Explanation(what: "cannot write results", why: why)
        case .badTemplate(let name, let why):
            Explanation(what: "cannot render a report", at: "template \(name)", why: why, next: "report this as a bug")
        }
    }
}

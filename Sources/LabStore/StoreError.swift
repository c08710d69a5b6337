public import CRModel
internal import GRDB

/// Why a run's records cannot be read or written. Always the lab's failure, never the experiment's.
public enum StoreError: Explained, Equatable {
    /// No space, no quota, or a file-size limit.
    case noSpace(path: String)
    case alreadyThere(path: String)
    case notThere(path: String)
    /// Another live process works on the run; 0 when it did not say which.
    case locked(path: String, process: Int)
    case damaged(path: String, detail: String)
    case notARun(path: String)
    case newerSchema(path: String, found: Int, readable: Int)
    /// The run was killed while it was being set up; nothing had been done.
    case neverStarted(path: String)
    case notWritable(path: String, detail: String)
    /// The cell has its outcome already; a second one would double it.
    case alreadyRecorded(cell: String)
    case unknownCell(cell: String)
    case imageMissing(digest: String, path: String)
    case imageDamaged(digest: String, path: String)
    /// A value could not be turned into JSON or back: a file from another build.
    case unreadableRecord(path: String, detail: String)
    case failed(path: String, call: String, detail: String)
    /// Runs that are not the shards of one run.
    case merge(MergeProblem)

    public var explanation: Explanation {
        switch self {
        case .noSpace(let path):
            Explanation(
                what: "cannot record the run", at: path, why: "no space is left there",
                next: "make space, then continue with 'crlab run --resume'; finished cells are kept")
        case .alreadyThere(let path):
            Explanation(
                what: "cannot start the run", at: path, why: "there is a run already",
                next: "continue it with 'crlab run --resume', or choose another folder")
        case .notThere(let path):
            Explanation(what: "cannot open the run", at: path, why: "there is none", next: "look into Reports/")
        case .locked(let path, let process):
            Explanation(
                what: "cannot continue the run", at: path,
                why: process > 0 ? "process \(process) is working on it" : "another process is working on it",
                next: "wait for it, or end it")
        case .damaged(let path, let detail):
            Explanation(
                what: "cannot open the run", at: path, why: "its file is damaged (\(detail))", next: "run it anew")
        case .notARun(let path):
            Explanation(what: "cannot open the run", at: path, why: "it is no run of crlab")
        case .newerSchema(let path, let found, let readable):
            Explanation(
                what: "cannot open the run", at: path,
                why: "its format is version \(found), and this build reads up to \(readable)",
                next: "use the crlab that made it")
        case .neverStarted(let path):
            Explanation(
                what: "cannot open the run", at: path, why: "it was killed while it was being set up",
                next: "run it anew")
        case .notWritable(let path, let detail):
            Explanation(what: "cannot write the run", at: path, why: detail, next: "check the folder's permissions")
        case .alreadyRecorded(let cell):
            Explanation(what: "cannot record the cell", at: cell, why: "it has an outcome already")
        case .unknownCell(let cell):
            Explanation(what: "cannot record the cell", at: cell, why: "the run's plan does not have it")
        case .imageMissing(let digest, let path):
            Explanation(
                what: "cannot read the image", at: path, why: "\(digest) is not there", next: "dump it again")
        case .imageDamaged(let digest, let path):
            Explanation(
                what: "cannot use the image", at: path, why: "its content is not \(digest) any more",
                next: "dump it again")
        case .unreadableRecord(let path, let detail):
            Explanation(what: "cannot read a record", at: path, why: detail, next: "use the crlab that made it")
        case .failed(let path, let call, let detail):
            Explanation(what: "cannot use the run", at: path, why: "\(call): \(detail)")
        case .merge(let problem): problem.explanation
        }
    }
}

extension StoreError {
    /// Gives an error of SQLite or of JSON its place.
    init(_ error: any Error, path: String) {
        switch error {
        case let error as StoreError: self = error
        case let error as DatabaseError:
            let detail = error.message ?? "SQLite error \(error.resultCode.rawValue)"
            switch error.resultCode {
            case .SQLITE_FULL: self = .noSpace(path: path)
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: self = .damaged(path: path, detail: detail)
            case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
                self = .notWritable(path: path, detail: detail)
            default: self = .failed(path: path, call: "SQLite", detail: detail)
            }
        case let error as JSONError: self = .unreadableRecord(path: path, detail: error.description)
        default: self = .failed(path: path, call: "store", detail: "\(error)")
        }
    }
}

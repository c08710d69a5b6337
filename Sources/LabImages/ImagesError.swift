public import CRModel

/// Why host preparation could not do something.
public enum ImagesError: Explained, Equatable {
    /// A recipe is not what a recipe must be. `line` counts from 1; 0 when the file as a whole is meant.
    case recipeInvalid(file: String, line: Int, reason: String)
    /// No recipe has this name.
    case recipeUnknown(kind: ImageKind, name: String, known: [String])
    /// The lab machine's package sources name no Debian mirror.
    case mirrorUnknown(looked: [String])
    /// The mirror's index of one suite could not be had: the suite is gone, or the mirror does not answer.
    case suiteUnavailable(suite: String, mirror: String, why: String)
    /// The suite is there, but no package in it matches.
    case packageUnavailable(package: String, suite: String, mirror: String, why: String)
    /// A package could not be fetched.
    case downloadFailed(packages: [String], mirror: String, why: String)
    /// A file's content is not what the index or the manifest says.
    case checksumMismatch(path: String, expected: String, found: String)
    /// A program of the lab machine that is needed is not installed.
    case toolMissing(tool: String, package: String, purpose: String)
    /// A program of the lab machine failed.
    case toolFailed(tool: String, status: String, lastWords: String, purpose: String)
    /// A program of the lab machine did not end in time.
    case toolTimedOut(tool: String, seconds: Int64, purpose: String)
    /// A kernel package or a user's own kernel lacks something.
    case kernelUnusable(name: String, path: String, why: String)
    /// A module that the guest cannot start without is neither a file nor built in.
    case moduleMissing(module: String, kernel: String, neededBy: String)
    /// No QEMU can be used.
    case qemuUnusable(path: String, version: String, why: String)
    /// A file that was given does not exist or cannot be read.
    case inputUnreadable(path: String, why: String)
    /// A file in the cache could not be read or written.
    case fileFailed(path: String, action: String, why: String)
    /// Another crlab holds the cache.
    case cacheBusy(path: String, holder: String, seconds: Int64)
    /// An entry's manifest cannot be read or describes something else.
    case manifestUnreadable(path: String, why: String)

    public var explanation: Explanation {
        switch self {
        case .recipeInvalid, .recipeUnknown, .inputUnreadable:
            recipeExplanation
        case .mirrorUnknown, .suiteUnavailable, .packageUnavailable, .downloadFailed, .checksumMismatch:
            archiveExplanation
        case .toolMissing, .toolFailed, .toolTimedOut:
            toolExplanation
        case .kernelUnusable, .moduleMissing, .qemuUnusable, .fileFailed, .cacheBusy, .manifestUnreadable:
            imageExplanation
        }
    }

    private var recipeExplanation: Explanation {
        switch self {
        case .recipeInvalid(let file, let line, let reason):
            Explanation(
                what: "cannot use the recipe", at: line > 0 ? "\(file):\(line)" : file, why: reason,
                next: "mend it; VMImages/README.md lists the keys")
        case .recipeUnknown(let kind, let name, let known):
            Explanation(
                what: "no \(kind.rawValue) recipe is named \(name)",
                why: known.isEmpty ? "there are none" : "there are \(known.joined(separator: ", "))",
                next: "write VMImages/\(kind.rawValue)s/\(name).yaml")
        case .inputUnreadable(let path, let why):
            Explanation(what: "cannot read what the recipe refers to", at: path, why: why, next: "check the path")
        default:
            Explanation(what: "host preparation failed", why: "unexpected case")
        }
    }

    private var archiveExplanation: Explanation {
        switch self {
        case .mirrorUnknown(let looked):
            Explanation(
                what: "no Debian mirror is known",
                why: "the package sources of this machine name none (looked at "
                    + (looked.isEmpty ? "no file" : looked.joined(separator: ", ")) + ")",
                next: "set CRLAB_MIRROR to the address of a Debian mirror")
        case .suiteUnavailable(let suite, let mirror, let why):
            Explanation(
                what: "the suite \(suite) is not to be had", at: mirror, why: why,
                next: "set CRLAB_MIRROR to a mirror that holds it, or leave these hosts out")
        case .packageUnavailable(let package, let suite, let mirror, let why):
            Explanation(
                what: "the package \(package) of suite \(suite) is not to be had", at: mirror, why: why,
                next: "name another suite or pattern in the recipe")
        case .downloadFailed(let packages, let mirror, let why):
            Explanation(
                what: "cannot fetch \(packages.joined(separator: ", "))", at: mirror, why: why,
                next: "try again; `crlab images build --refresh` resolves the versions anew")
        case .checksumMismatch(let path, let expected, let found):
            Explanation(
                what: "a file is not what it was", at: path, why: "its SHA-256 is \(found), expected \(expected)",
                next: "delete it and build again")
        default:
            Explanation(what: "host preparation failed", why: "unexpected case")
        }
    }

    private var toolExplanation: Explanation {
        switch self {
        case .toolMissing(let tool, let package, let purpose):
            Explanation(
                what: "cannot \(purpose)", why: "the program \(tool) is not installed",
                next: "install the package \(package)")
        case .toolFailed(let tool, let status, let lastWords, let purpose):
            Explanation(
                what: "cannot \(purpose)", at: tool,
                why: lastWords.isEmpty ? "it ended with \(status)" : "it ended with \(status): \(lastWords)")
        case .toolTimedOut(let tool, let seconds, let purpose):
            Explanation(
                what: "cannot \(purpose)", at: tool, why: "it did not end within \(seconds) s",
                next: "look at the machine's load and network, then try again")
        default:
            Explanation(what: "host preparation failed", why: "unexpected case")
        }
    }

    private var imageExplanation: Explanation {
        switch self {
        case .kernelUnusable(let name, let path, let why):
            Explanation(
                what: "cannot use the kernel \(name)", at: path, why: why,
                next: "name another package pattern or another file in its recipe")
        case .moduleMissing(let module, let kernel, let neededBy):
            Explanation(
                what: "the kernel \(kernel) has no module \(module)",
                why: "\(neededBy) needs it, and it is neither built in nor among the kernel's modules",
                next: "give the recipe the folder that holds it, or take it from the recipe's list")
        case .qemuUnusable(let path, let version, let why):
            Explanation(
                what: "cannot use QEMU" + (version.isEmpty ? "" : " \(version)"), at: path, why: why,
                next: "`crlab images build` unpacks one that is known to be good")
        case .fileFailed(let path, let action, let why):
            Explanation(what: "cannot \(action)", at: path, why: why, next: "check space and permissions")
        case .cacheBusy(let path, let holder, let seconds):
            Explanation(
                what: "the image cache is in use", at: path,
                why: "\(holder.isEmpty ? "another crlab" : holder) has held it for more than \(seconds) s",
                next: "wait for it to end, or set CRLAB_CACHE to another folder")
        case .manifestUnreadable(let path, let why):
            Explanation(
                what: "cannot read a manifest of the image cache", at: path, why: why,
                next: "`crlab images prune` removes it, `crlab images build` makes it again")
        default:
            Explanation(what: "host preparation failed", why: "unexpected case")
        }
    }
}

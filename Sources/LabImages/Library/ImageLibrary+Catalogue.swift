extension ImageLibrary {
    /// Everything that can be named: recipes, and members of kernel families, with what they stand for.
    ///
    /// Asks the mirror for a family that was never looked up, or long ago.
    ///
    /// - Returns: Kinds in the order in which hosts need them, names sorted, a family's members by series; and why a
    ///   family could not be looked up, by family.
    public func offers() async -> (offers: [ImageOffer], failures: [String: ImagesError]) {
        var failures: [String: ImagesError] = [:]
        var kernels = recipes.kernels.keys.sorted().map { offer(.kernel, $0, origin: origin(ofKernel: $0)) }
        for family in families {
            do throws(ImagesError) {
                for member in try await members(of: family) where recipes.kernels[member.name] == nil {
                    kernels.append(offer(member))
                }
            } catch {
                failures[family] = error
            }
        }
        let userlands = recipes.userlands.keys.sorted().map { name in
            var offer = offer(.userland, name, origin: origin(ofUserland: name))
            offer.libc = (try? recipes.userland(named: name))?.libc
            return offer
        }
        let qemus = recipes.qemus.keys.sorted().map { offer(.qemu, $0, origin: origin(ofQEMU: $0)) }
        let runtimes = recipes.runtimes.keys.sorted().map { offer(.runtime, $0, origin: origin(ofRuntime: $0)) }
        return (qemus + kernels + userlands + runtimes, failures)
    }

    private func offer(_ member: KernelMember) -> ImageOffer {
        let release = member.release
        var offer = offer(.kernel, member.name, origin: "\(release.suite): \(release.package)=\(release.version)")
        if offer.version.isEmpty { offer.version = release.release }
        if !release.missing.isEmpty { offer.problem = "left the index: \(release.missing.joined(separator: ", "))" }
        return offer
    }

    private func offer(_ kind: ImageKind, _ name: String, origin: Result<String, ImagesError>) -> ImageOffer {
        switch origin {
        case .success(let text): return offer(kind, name, origin: text)
        case .failure(let error):
            var offer = offer(kind, name, origin: "")
            offer.problem = error.explanation.line
            return offer
        }
    }

    private func offer(_ kind: ImageKind, _ name: String, origin: String) -> ImageOffer {
        let manifest = cache.reference(kind, name).flatMap { try? cache.manifest(of: $0) }
        let packages = cache.resolution(kind, name)?.packages ?? []
        var version = manifest?.facts["release"] ?? manifest?.facts["version"] ?? ""
        if version.isEmpty, let package = packages.first(where: { $0.name.hasPrefix("linux-image-") }) {
            version = package.version
        }
        return ImageOffer(
            kind: kind, name: name, version: version, origin: origin,
            bytes: manifest?.files.reduce(0) { $0 + $1.size })
    }

    private func origin(ofKernel name: String) -> Result<String, ImagesError> {
        Result { () throws(ImagesError) in
            switch try recipes.kernel(named: name).source {
            case .packages(let suites, let package, let version):
                "\(suites.joined(separator: ", ")): \(package)\(version.map { "=\($0)" } ?? "")"
            case .member(let family, _): family.suites.joined(separator: ", ")
            case .files(let bzImage, _, _): bzImage
            }
        }
    }

    private func origin(ofQEMU name: String) -> Result<String, ImagesError> {
        Result { () throws(ImagesError) in
            let recipe = try recipes.qemu(named: name)
            return
                "\(recipe.prefer ?? recipe.suites.joined(separator: ", ")): \(recipe.packages.joined(separator: ", "))"
                + (recipe.isDefault ? " (default)" : "")
        }
    }

    private func origin(ofUserland name: String) -> Result<String, ImagesError> {
        Result { () throws(ImagesError) in
            switch try recipes.userland(named: name).source {
            case .packages(let suites, _, _): suites.joined(separator: ", ")
            case .root(let path): path
            }
        }
    }

    private func origin(ofRuntime name: String) -> Result<String, ImagesError> {
        Result { () throws(ImagesError) in
            switch try recipes.runtime(named: name).source {
            case .packages(let suites, let packages):
                "\(suites.joined(separator: ", ")): \(packages.joined(separator: " "))"
            case .path(let path): path
            }
        }
    }
}

/// Something that a scenario can name.
public struct ImageOffer: Sendable, Equatable {
    public let kind: ImageKind
    /// Name in scenarios.
    public let name: String
    /// What it is now: a kernel's release; empty when nobody has looked.
    public var version: String
    /// Suites and package, or the user's file.
    public let origin: String
    /// Size of what is prepared; `nil` when nothing is.
    public let bytes: Int?
    /// A userland's glibc, empty when it has none; `nil` when its recipe does not tell.
    public var libc: String?
    /// Why it is not to be had; `nil` when nothing speaks against it.
    public var problem: String?
}

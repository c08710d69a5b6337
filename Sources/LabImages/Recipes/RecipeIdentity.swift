import CRModel

// What a recipe's digest is taken from: everything that shapes the result, in a fixed order, and nothing else, so that a
// changed comment rebuilds nothing.

extension KernelRecipe {
    func identity(_ wish: ModuleWish) -> [String] {
        let modules = ["boot \(wish.boot.joined(separator: " "))", "extra \(wish.extra.joined(separator: " "))"]
        switch source {
        case .packages(let suites, let package, let version):
            return ["packages", suites.joined(separator: " "), package, version ?? "*"] + modules
        case .member(let family, let choice):
            return ["member", family.digest, "\(choice)"] + modules
        case .files(let bzImage, let folder, let config):
            return ["files", bzImage, folder ?? "-", config ?? "-"] + modules
        }
    }
}

extension UserlandRecipe {
    var identity: [String] {
        let shape =
            [
                "exclude \(exclude.sorted().joined(separator: " "))",
                "folders \(folders.sorted().joined(separator: " "))",
            ]
            + links.sorted { $0.key < $1.key }.map { "link \($0.key) \($0.value)" }
            + files.sorted { $0.key < $1.key }.map { "file \($0.key) \(SHA256.hex($0.value))" } + ["slack \(slackMiB)"]
        switch source {
        case .packages(let suites, let packages, let alone):
            return ["packages", suites.joined(separator: " "), packages.sorted().joined(separator: " ")]
                + (alone ? ["alone"] : []) + shape
        case .root(let path):
            return ["root", path] + shape
        }
    }
}

extension QEMURecipe {
    var identity: [String] {
        [
            suites.joined(separator: " "), prefer ?? "-", packages.sorted().joined(separator: " "),
            keep.sorted().joined(separator: " "), program, dataFolders.joined(separator: " "),
        ]
    }
}

internal import CRImage
internal import CRModel
internal import LinuxKit

/// Connections to peers outside the tree.
extension RestoreUnixSockets {
    func connectOutside(_ record: UnixSocketRecord) throws(EngineError) {
        let number = record.socket
        guard let peer = outside[number] else { return }
        var folder: Int32?
        let address: [UInt8]
        let place: String
        switch peer {
        // It is connected already.
        case .descriptor: return
        case .file(let parent, let base, let path):
            (folder, place) = (parent, path)
            address = RestoreUnixNames.address(Array(base.utf8) + [0])
        case .name(let name):
            place = record.peerNameText
            address = RestoreUnixNames.address(name)
        }
        let fd = try make(number)
        // F_SETFL, O_NONBLOCK: a peer whose queue is full must not hold up the restore. Its own flags come later.
        try root.call(.fcntl, [RestoreStub.word(fd), 4, 0o4000], doing: "set up \(describe(number))")
        // The peer sees who connects.
        let (owner, groups) = owner(of: number)
        let failure = try makers.act(as: owner, groups: groups, describe(number)) {
            (stub) throws(EngineError) -> Errno? in
            if let folder { try stub.call(.fchdir, [RestoreStub.word(folder)], doing: "enter the folder of \(place)") }
            return try stub.attempt(
                .connect, [RestoreStub.word(fd), try stub.put(address), UInt64(address.count)])
        }
        guard let failure else { return }
        let name = record.externalName.isEmpty ? record.peerNameText : record.externalName
        throw .refused(
            Refusal(
                reason: Reason.filesystemMissing.rawValue, object: describe(number),
                message: "its peer outside the tree, \(place), cannot be connected to (\(failure)); "
                    + "--external \(name)=PATH names another one"))
    }
}

/// The last steps: what cannot be done twice, and what a ``Keeper`` does in the place of an engine that was killed.
extension RestoreFiles {
    /// Brings connections back to life; their peers do not see it yet.
    ///
    /// - Precondition: No task runs yet.
    func wakeConnections() { sockets.inet.wake(sockets.descriptors) }

    /// Does what cannot be taken back, as far as it was not done yet: peers see their connections again, names go that only
    /// the image needed.
    ///
    /// - Precondition: The tree is sure to run, and does not yet.
    func conclude() {
        sockets.inet.admit(sockets.descriptors)
        notes += sockets.inet.notes
        removeOtherNames()
    }

    /// What a child of the engine needs to bring to an end what the engine has begun, by ``conclude()`` or by silencing the
    /// connections.
    var lastDescriptors: (connections: [Int32], others: [Int32]) {
        (sockets.inet.connections(sockets.descriptors), hasOtherNames ? Array(inotifies) : [])
    }

    /// Whether ``conclude()`` has nothing to do.
    var isConclusionEmpty: Bool { !sockets.inet.isLocked && !hasOtherNames }
}

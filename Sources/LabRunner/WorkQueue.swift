import CRModel

/// What became of one piece of work in a guest.
enum WorkResult<Value: Sendable>: Sendable {
    /// It was done and the guest is clean.
    case done(Value)
    /// It was done, but the guest must not be used again.
    case tainted(Value, why: String)
}

/// One host's pieces of work of one kind. They come as they become possible, and are done in as few guests as their
/// outcomes allow.
///
/// A piece of work under which the guest was lost or tainted may be the cause or the victim. It is done once more,
/// alone in a fresh guest, and only that counts.
actor WorkQueue<Machine: Sendable, Item: Sendable, Value: Sendable> {
    /// What a queue does with its pieces of work.
    struct Actions: Sendable {
        /// Starts a guest and runs the body in it.
        let withGuest:
            @Sendable (_ body: @escaping @Sendable (Machine, _ boot: Int) async throws -> Void) async throws -> Void
        /// Does one piece of work. Throws what `guestFailure` knows when the guest failed.
        let perform: @Sendable (Item, Machine, _ boot: Int, _ alone: Bool) async throws -> WorkResult<Value>
        /// The guest's own failure behind an error; `nil` for an error that ends the run.
        let guestFailure: @Sendable (any Error) -> LabFailure?
        /// Takes what is believed.
        let record: @Sendable (Item, Value) async throws -> Void
        /// Takes a piece of work that the lab could not do.
        let miss: @Sendable (Item, LabFailure) async throws -> Void
        /// Hears that a piece of work is done again alone.
        let retrying: @Sendable (Item, String) -> Void
    }

    /// Starts that fail one after the other before the host is given up.
    private static var startTries: Int { 2 }

    private let actions: Actions
    /// So many pieces of work share a guest.
    private let itemsPerGuest: Int
    /// Seconds that a piece of work will take.
    private let cost: @Sendable (Item) -> Double
    /// Whether the first piece of work goes before the second one.
    private let precedes: @Sendable (Item, Item) -> Bool
    private var waiting: [Item] = []
    private var suspects: [Item] = []
    /// Guests that have not begun their first piece of work.
    private var starting: Set<Int> = []
    private var guestCount = 0
    private var failedStarts = 0
    /// Set once the host does not start any more: what comes later is missed as well.
    private var givenUp: LabFailure?

    init(
        actions: Actions, itemsPerGuest: Int = .max, cost: @escaping @Sendable (Item) -> Double = { _ in 1 },
        precedes: @escaping @Sendable (Item, Item) -> Bool = { _, _ in false }
    ) {
        self.actions = actions
        self.itemsPerGuest = itemsPerGuest
        self.cost = cost
        self.precedes = precedes
    }

    /// Adds pieces of work.
    func add(_ items: [Item]) {
        waiting += items
    }

    /// Seconds of work that no guest has begun, or will begin as soon as it has started; 0 when there is none.
    var waitingSeconds: Double { (waiting.dropFirst(starting.count) + suspects).reduce(0) { $0 + cost($1) } }

    /// Starts one guest and does what waits, until nothing does or the guest must not be used again.
    func serve() async throws {
        if let givenUp {
            for item in takeAll() { try await actions.miss(item, givenUp) }
        } else if !waiting.isEmpty {
            try await serveWaiting()
        } else if !suspects.isEmpty {
            try await alone(suspects.removeFirst())
        }
    }

    private func serveWaiting() async throws {
        guestCount += 1
        let number = guestCount
        starting.insert(number)
        do {
            try await actions.withGuest { guest, boot in
                await self.started(number)
                try await self.work(in: guest, boot)
            }
        } catch {
            starting.remove(number)
            try Task.checkCancellation()
            guard let failure = actions.guestFailure(error) else { throw error }
            // Failures under a piece of work are caught in `work`, so this is a guest that never became ready.
            failedStarts += 1
            guard failedStarts >= Self.startTries else { return }
            givenUp = failure
            for item in takeAll() { try await actions.miss(item, failure) }
        }
    }

    private func started(_ number: Int) {
        starting.remove(number)
        failedStarts = 0
    }

    /// What goes before all others now; what came first is first among equals.
    private func next() -> Item? {
        guard var best = waiting.indices.first else { return nil }
        for index in waiting.indices.dropFirst() where precedes(waiting[index], waiting[best]) { best = index }
        return waiting.remove(at: best)
    }

    private func suspect(_ item: Item) { suspects.append(item) }
    private func takeAll() -> [Item] {
        defer {
            waiting = []
            suspects = []
        }
        return waiting + suspects
    }

    private nonisolated func work(in guest: Machine, _ boot: Int) async throws {
        for _ in 0..<itemsPerGuest {
            guard let item = await next() else { return }
            do {
                switch try await actions.perform(item, guest, boot, false) {
                case .done(let value):
                    try await actions.record(item, value)
                case .tainted(_, let why):
                    actions.retrying(item, why)
                    return await suspect(item)
                }
            } catch {
                try Task.checkCancellation()
                guard let failure = actions.guestFailure(error) else { throw error }
                actions.retrying(item, failure.summary)
                return await suspect(item)
            }
        }
    }

    private func alone(_ item: Item) async throws {
        let actions = actions
        do {
            try await actions.withGuest { guest, boot in
                switch try await actions.perform(item, guest, boot, true) {
                case .done(let value), .tainted(let value, _):
                    try await actions.record(item, value)
                }
            }
        } catch {
            try Task.checkCancellation()
            guard let failure = actions.guestFailure(error) else { throw error }
            try await actions.miss(item, failure)
        }
    }
}

import CRModel

/// What became of one piece of work in a guest.
enum WorkResult<Value: Sendable>: Sendable {
    /// It was done and the guest is clean.
    case done(Value)
    /// It was done, but the guest must not be used again.
    case tainted(Value, why: String)
}

/// One host's pieces of work, done one after the other in as few boots as their outcomes allow.
///
/// A piece of work under which the guest was lost or tainted may be the cause or the victim. It is done once more,
/// alone in a fresh guest, and only that counts.
struct WorkQueue<Machine: Sendable, Item: Sendable, Value: Sendable>: Sendable {
    /// Boots a guest and runs the body in it.
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

    /// Work that is left, and work to be done again; shared with the body that runs in the guest.
    private actor State {
        var waiting: [Item]
        var suspects: [Item] = []

        init(_ items: [Item]) { waiting = items }

        func next() -> Item? { waiting.isEmpty ? nil : waiting.removeFirst() }
        func suspect(_ item: Item) { suspects.append(item) }
        func takeSuspects() -> [Item] {
            defer { suspects = [] }
            return suspects
        }
        func takeWaiting() -> [Item] {
            defer { waiting = [] }
            return waiting
        }
        var isEmpty: Bool { waiting.isEmpty }
    }

    /// Boots that fail one after the other before the host is given up.
    private let bootTries = 2

    func run(_ items: [Item]) async throws {
        let state = State(items)
        var failedBoots = 0
        while await !state.isEmpty {
            let before = failedBoots
            do {
                failedBoots = 0
                try await withGuest { guest, boot in try await serve(state, guest, boot) }
            } catch {
                try Task.checkCancellation()
                guard let failure = guestFailure(error) else { throw error }
                // Failures under a piece of work are caught in `serve`, so this is a guest that never became ready.
                failedBoots = before + 1
                guard failedBoots >= bootTries else { continue }
                for item in await state.takeWaiting() { try await miss(item, failure) }
            }
        }
        for item in await state.takeSuspects() { try await alone(item) }
    }

    private func serve(_ state: State, _ guest: Machine, _ boot: Int) async throws {
        while let item = await state.next() {
            do {
                switch try await perform(item, guest, boot, false) {
                case .done(let value):
                    try await record(item, value)
                case .tainted(_, let why):
                    retrying(item, why)
                    await state.suspect(item)
                    return
                }
            } catch {
                try Task.checkCancellation()
                guard let failure = guestFailure(error) else { throw error }
                retrying(item, failure.summary)
                await state.suspect(item)
                return
            }
        }
    }

    private func alone(_ item: Item) async throws {
        do {
            try await withGuest { guest, boot in
                switch try await perform(item, guest, boot, true) {
                case .done(let value), .tainted(let value, _):
                    try await record(item, value)
                }
            }
        } catch {
            try Task.checkCancellation()
            guard let failure = guestFailure(error) else { throw error }
            try await miss(item, failure)
        }
    }
}

internal import CRImage
internal import LinuxKit

/// Finds out what a task has promised to undo at its end (SEM_UNDO), which no kernel shows.
///
/// semop(2) refuses with ERANGE what would leave the range of such a promise, -32768 to 32767; and a list of operations of
/// which one cannot be done is not done at all. So the task tries lists that move the promise by some number, and whose end
/// cannot be done for sure. They answer EAGAIN or ERANGE and change nothing, and nobody else sees them.
struct SemaphoreUndo {
    /// One operation: `struct sembuf`.
    struct Operation: Hashable {
        var change: Int32
        var undoes = false
    }

    /// A semaphore of a set, with its value.
    struct Place: Hashable {
        var set: Int32
        var index: Int
        var value: Int32
    }

    static let most: Int32 = 32767
    /// Bytes for one list.
    private static let listBytes = 36

    private let remote: RemoteTask
    private let scratch: UInt64

    init(_ remote: RemoteTask) throws(EngineError) {
        self.remote = remote
        scratch = try remote.scratch()
    }

    /// A list that answers ERANGE when the promise for a semaphore of this value is greater than `32767 - step`, for a
    /// positive step, or less than `-32768 - step`, for a negative one.
    static func list(_ value: Int32, step: Int32) -> [Operation] {
        // From the highest value down, or from 0 up; both ends cannot be done: no value is above 32767.
        (step > 0 ? [Operation(change: most - value)] : [Operation(change: -value)])
            .filter { $0.change != 0 } + [Operation(change: -step, undoes: true)]
            + [Operation(change: -most), Operation(change: -most)]
    }

    /// A list that answers ERANGE when the promise is less than 0: no single operation moves it by 32768.
    static func negative(_ value: Int32) -> [Operation] {
        [Operation(change: -value)].filter { $0.change != 0 } + [
            Operation(change: most, undoes: true), Operation(change: -most), Operation(change: 1, undoes: true),
            Operation(change: -most),
        ]
    }

    /// Operations that leave a semaphore's value as it is and a promise of `adjustment` behind.
    static func promise(_ adjustment: Int32, _ value: Int32) -> [Operation] {
        var operations: [Operation] = []
        var rest = adjustment
        // So much fits above the value or below it.
        let limit = most / 2
        while rest != 0 {
            let some = max(-limit, min(limit, rest))
            rest -= some
            let promise = Operation(change: -some, undoes: true)
            let back = Operation(change: some)
            operations += (0...most).contains(value + some) ? [back, promise] : [promise, back]
        }
        return operations
    }

    /// The bytes of a list.
    static func bytes(_ list: [Operation], _ index: Int) -> [UInt8] {
        list.flatMap { operation in
            // IPC_NOWAIT, SEM_UNDO
            [UInt16(index), UInt16(bitPattern: Int16(operation.change)), operation.undoes ? 0o14000 : 0o4000]
                .flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        }
    }

    /// What the task has promised, where that is not nothing.
    ///
    /// - Returns: `nil` where it may not operate on a set, and so cannot be asked.
    func promises(_ set: Int32, _ values: [UInt16]) throws(EngineError) -> [(index: Int, adjustment: Int32)]? {
        let places = values.enumerated().map { Place(set: set, index: $0, value: Int32($1)) }
        var found: [(index: Int, adjustment: Int32)] = []
        var rest = places[...]
        while !rest.isEmpty {
            let some = Array(rest.prefix(4096 / Self.listBytes / 2))
            rest = rest.dropFirst(some.count)
            guard
                let answers = try ask(
                    some.flatMap { place in
                        [(place, Self.list(place.value, step: Self.most)), (place, Self.negative(place.value))]
                    })
            else { return nil }
            for (number, place) in some.enumerated() where answers[2 * number] || answers[2 * number + 1] {
                guard let adjustment = try measure(place, isPositive: answers[2 * number]) else { return nil }
                found.append((place.index, adjustment))
            }
        }
        return found
    }

    /// By halves: the longest step that is in range.
    private func measure(_ place: Place, isPositive: Bool) throws(EngineError) -> Int32? {
        var (possible, impossible) = (Int32(0), Self.most + 1)
        while impossible - possible > 1 {
            let middle = (possible + impossible) / 2
            guard let answer = try ask([(place, Self.list(place.value, step: isPositive ? middle : -middle))]) else {
                return nil
            }
            if answer[0] { impossible = middle } else { possible = middle }
        }
        return isPositive ? Self.most - possible : possible - Self.most - 1
    }

    /// Whether each list is out of range; `nil` where the task may not.
    private func ask(_ lists: [(place: Place, operations: [Operation])]) throws(EngineError) -> [Bool]? {
        var batch = RemoteBatch()
        var bytes: [UInt8] = []
        for (place, operations) in lists {
            let list = Self.bytes(operations, place.index)
            batch.ask(.semop, Kernel.number(place.set), scratch + UInt64(bytes.count), UInt64(operations.count))
            bytes += list + [UInt8](repeating: 0, count: Self.listBytes - list.count)
        }
        try remote.write(bytes, at: scratch)
        var results: [Bool] = []
        for (answer, list) in zip(try remote.run(batch), lists) {
            switch Kernel.errno(of: answer) {
            case .again: results.append(false)
            case .range: results.append(true)
            case .access: return nil
            case let errno:
                throw .remote(
                    call: "semop", task: remote.task, errno ?? .invalid,
                    doing: "ask what it has to undo in semaphore set \(list.place.set)")
            }
        }
        return results
    }
}

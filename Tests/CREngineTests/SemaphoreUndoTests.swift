import Testing

@testable import CREngine

@Suite("operations to undo (SEM_UNDO)")
struct SemaphoreUndoTests {
    enum Answer { case done, again, range }

    /// What the kernel does with a list, one operation after the other (`ipc/sem.c`).
    static func operate(
        _ value: inout Int32, _ promise: inout Int32, _ list: [SemaphoreUndo.Operation]
    ) -> Answer {
        let before = (value, promise)
        for operation in list {
            let next = value + operation.change
            let undo = promise - operation.change
            let isOut = next > 32767 || operation.undoes && !(-32768...32767).contains(undo)
            if next < 0 || operation.change == 0 || isOut {
                (value, promise) = before
                return next < 0 || operation.change == 0 ? .again : .range
            }
            value = next
            if operation.undoes { promise = undo }
        }
        return .done
    }

    static let values: [Int32] = [0, 1, 2, 16383, 16384, 30000, 32766, 32767]
    static let promises: [Int32] = [-32768, -32767, -20000, -2, -1, 0, 1, 2, 20000, 32766, 32767]

    @Test("lists tell a promise by their error and change nothing", arguments: values, promises)
    func asking(_ value: Int32, _ promise: Int32) {
        func isOut(_ list: [SemaphoreUndo.Operation]) -> Bool {
            var state = (value, promise)
            let answer = Self.operate(&state.0, &state.1, list)
            #expect(answer != .done)
            return answer == .range
        }
        #expect(isOut(SemaphoreUndo.list(value, step: 32767)) == (promise > 0))
        #expect(isOut(SemaphoreUndo.negative(value)) == (promise < 0))
        for step: Int32 in [1, 2, 12767, 12768, 32765, 32766, 32767] {
            #expect(isOut(SemaphoreUndo.list(value, step: step)) == (promise + step > 32767), "step \(step)")
            #expect(isOut(SemaphoreUndo.list(value, step: -step)) == (promise - step < -32768), "step -\(step)")
        }
    }

    @Test("a promise is made again, and the value stays", arguments: values, promises)
    func promising(_ value: Int32, _ promise: Int32) {
        var state = (value, Int32(0))
        let answer = Self.operate(&state.0, &state.1, SemaphoreUndo.promise(promise, value))
        #expect(answer == .done)
        #expect(state.0 == value && state.1 == promise)
        for operation in SemaphoreUndo.promise(promise, value) {
            #expect(SemaphoreUndo.bytes([operation], 300).count == 6)
        }
    }
}

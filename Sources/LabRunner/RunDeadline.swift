/// The whole run's own deadline.
public enum RunDeadline {
    /// Does something, and cancels it when it has not ended in time.
    ///
    /// - Parameter deadline: `nil` for none.
    /// - Throws: `RunnerError.deadline` when it was cancelled; otherwise what `body` throws.
    public static func within<Value: Sendable>(
        _ deadline: Duration?, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        guard let deadline else { return try await body() }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: deadline)
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            guard let value = first else { throw RunnerError.deadline(seconds: Int(deadline.components.seconds)) }
            return value
        }
    }
}

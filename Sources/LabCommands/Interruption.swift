import Dispatch
import Foundation
import LabRunner

/// Makes Ctrl-C and SIGTERM end a command in order: guests are stopped, what is finished is kept.
enum Interruption {
    /// - Throws: `RunnerError.interrupted` when a signal ended the body, otherwise what the body throws.
    static func cancelling(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await body() }
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { task.cancel() }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        do {
            try await task.value
        } catch {
            throw task.isCancelled ? RunnerError.interrupted : error
        }
    }
}

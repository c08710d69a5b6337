import ArgumentParser
import CRModel
import LabImages
import LabRunner
import LabScenario
import LabStore
import LabVM

/// What an error means for the caller (design, section 6).
enum ExitStatus {
    static let usage: Int32 = 64
    static let labFailed: Int32 = 69
    static let deadline: Int32 = 124
    static let interrupted: Int32 = 130

    static func of(_ error: any Error) -> Int32 {
        switch error {
        case is ScenarioError, is ValidationError: usage
        case RunnerError.deadline: deadline
        case RunnerError.interrupted, is CancellationError: interrupted
        case RunnerError.unknown, RunnerError.notResumable, RunnerError.scenarioUnreadable: usage
        case StoreError.alreadyThere, StoreError.notThere, StoreError.merge: usage
        default: labFailed
        }
    }

    /// Runs a command's work; an error becomes one explanation on standard error and the right exit status.
    static func guarding(_ body: @escaping @Sendable () async throws -> Void) async throws {
        do {
            try await Interruption.cancelling(body)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            Terminal.complain(error)
            throw ExitCode(of(error))
        }
    }
}

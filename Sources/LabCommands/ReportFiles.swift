import CRModel
import Foundation
import LabReport
import LabRunner
import SystemPackage

/// Writes a run's reports into its folder.
enum ReportFiles {
    static func write(_ results: Results, to folder: FilePath) throws {
        for format in ReportFormat.files {
            let path = folder.appending(format.fileName)
            do {
                try format.render(results).write(toFile: path.string, atomically: true, encoding: .utf8)
            } catch let error as CocoaError {
                throw RunnerError.fileFailed(path: path.string, why: error.localizedDescription)
            }
        }
    }
}

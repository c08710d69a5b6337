public import CRModel
public import LabImages
public import LabVM

/// What happens during a run, as it happens, for whoever shows it.
public enum RunEvent: Sendable {
    /// The run exists on disk now. `finished` cells were recorded by an earlier execution of the same run.
    case started(id: String, folder: String, cells: Int, finished: Int, hosts: Int)
    case images(ImagesProgress)
    case note(String)
    case hostUnavailable(HostName, LabFailure)
    case booting(HostName, purpose: String)
    case booted(HostName, milliseconds: Int, origin: Guest.Origin, slowdown: Double)
    case ended(HostName, purpose: String)
    case dumped(DumpKey, StageEvidence.Ending, milliseconds: Int)
    /// A guest was thrown away under this work, which is tried again alone.
    case retrying(String, why: String)
    case cell(CellResult, finished: Int, of: Int)
}

public import CRModel
import Glibc
import GuestWire

extension Guest {
    /// Restores an archive in a fresh cell, lets the workload go on, and dumps it again.
    ///
    /// - Parameters:
    ///   - restore: What the runtime is told at the restore; `dump` at the dump.
    ///   - next: Where the new archive goes. The file exists exactly when the last stage is a dump that ended with `done`.
    /// - Returns: Evidence of restore, verify and dump, as far as it came; the last one says how it ended.
    public func relay(
        restore: RuntimeUse, dump: RuntimeUse, workload: WorkloadName, seed: UInt64 = 1, deadline: Duration,
        from archive: String, to next: String
    ) async throws(VMError) -> [StageEvidence] {
        let request = RelayRequest(
            restore: operation(restore.runtime, workload, seed, deadline, restore.options),
            dump: operation(dump.runtime, workload, seed, deadline, dump.options))
        let partial = next + ".partial"
        let input = try Descriptor.open(archive, O_RDONLY)
        let output: Int32
        do throws(VMError) {
            output = try Descriptor.open(partial, O_WRONLY | O_CREAT | O_TRUNC)
        } catch {
            Descriptor.close(input)
            throw error
        }
        let result = await connection.request(
            .relay(request), seconds: 2 * Self.backstop(deadline),
            upload: GuestConnection.Upload(fd: input, isLive: false),
            download: GuestConnection.Download(fd: output, isLive: false))
        Descriptor.close(input)
        Descriptor.close(output)
        do throws(VMError) {
            guard case .stages(let reply) = try Self.reply(result, "relay", host: spec.name),
                let last = reply.stages.last,
                reply.stages.map(\.stage) == Array([Stage.restore, .verify, .dump].prefix(reply.stages.count)),
                reply.archiveFollows == (last.stage == .dump && last.ending == .done)
            else { throw unexpected("relay") }
            if reply.archiveFollows {
                guard rename(partial, next) == 0 else {
                    throw VMError.fileFailed(path: next, action: "store the archive", why: Descriptor.errorText())
                }
            } else {
                unlink(partial)
            }
            return reply.stages.map(Self.bounded)
        } catch {
            unlink(partial)
            throw error
        }
    }
}

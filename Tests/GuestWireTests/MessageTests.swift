import CRModel
import GuestWire
import Testing

@Suite("messages of the guest channel")
struct MessageTests {
    static let sentRequests: [GuestRequest] = [
        .probe, .listWorkloads, .shutdown,
        .dump(OperationRequest(runtime: .native, workload: "counter", deadlineMilliseconds: 1000)),
        .restore(OperationRequest(runtime: .native, workload: "counter", deadlineMilliseconds: 1, cutImage: true)),
        .verify(OperationRequest(runtime: .native, workload: "counter", deadlineMilliseconds: 1)),
        .relay(
            RelayRequest(
                restore: OperationRequest(runtime: "criu-4.1", workload: "counter", deadlineMilliseconds: 1),
                dump: OperationRequest(runtime: "criu-4.2", workload: "counter", deadlineMilliseconds: 2))),
        .restore(
            OperationRequest(
                runtime: "criu", workload: "x", seed: 9, deadlineMilliseconds: 1,
                options: RuntimeOptions(globals: ["-v4"], arguments: ["--a"], annotations: ["b": "c"]))),
        .exec(ExecRequest(arguments: ["/bin/true", "ä\u{0}\n"], deadlineMilliseconds: 5)),
        .shell(ShellRequest(terminal: "xterm", rows: 24, columns: 80)),
        .reseed(
            Welcome(
                protocolVersion: 1, wallClockSeconds: 1, wallClockNanoseconds: 2, randomness: "ab", diskIdentity: "",
                tscKilohertz: 0)),
    ]

    @Test("requests come back as they were", arguments: sentRequests)
    func requests(_ request: GuestRequest) throws {
        let frame = try Frame(.request, request: 1, message: request)
        #expect(try frame.message(GuestRequest.self) == request)
    }

    static let sentReplies: [GuestReply] = [
        .done, .workloads([]),
        .failed(AgentFailure(reason: .harnessAgent, message: "no", taints: ["oops"])),
        .exec(ExecOutcome(exitStatus: nil, signal: 9, output: "", errors: "x")),
        .stages(StagesReply(stages: [StageEvidence(stage: .dump, ending: .done)], archiveFollows: true)),
    ]

    @Test("replies come back as they were", arguments: sentReplies)
    func replies(_ reply: GuestReply) throws {
        let frame = try Frame(.reply, request: 1, message: reply)
        #expect(try frame.message(GuestReply.self) == reply)
    }

    static let sentEvents: [GuestEvent] = [
        .heartbeat(uptimeSeconds: 1.5, load: 0.25), .kernel("BUG"), .log("x"), .taint("oops", message: "BUG: x"),
    ]

    @Test("events come back as they were", arguments: sentEvents)
    func events(_ event: GuestEvent) throws {
        let frame = try Frame(.event, message: event)
        #expect(try frame.message(GuestEvent.self) == event)
    }

    @Test(
        "what is no message is malformed",
        arguments: ["", "{}", #"{"tag":"x"}"#, #"{"tag":"dump"}"#, "[", "\u{0}", #"{"tag":1}"#])
    func malformed(text: String) {
        #expect(throws: WireError.self) {
            try Frame(.request, payload: Array(text.utf8)).message(GuestRequest.self)
        }
    }

    @Test("a manifest may leave out what has a default")
    func manifest() throws {
        let text = #"{"name":"a","summary":"b","command":["/c"]}"#
        let manifest = try JSONCoder.decode(WorkloadManifest.self, from: text)
        #expect(manifest.readySeconds == 20)
        #expect(manifest.check == nil)
        #expect(manifest.needs.isEmpty)
    }
}

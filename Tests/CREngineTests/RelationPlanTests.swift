import CRImage
import Testing

@testable import CREngine

/// PID, parent, process group, session; a zombie with `Z`.
private func tree(_ rows: (Int32, Int32, Int32, Int32)..., zombies: Set<Int32> = [], outside: Set<Int32> = [])
    -> ImageContents
{
    var contents = ImageContents()
    contents.header.root = rows[0].0
    contents.processes = rows.map { row in
        var process = ProcessRecord()
        process.pid = row.0
        process.parent = row.1
        process.processGroup = row.2
        process.session = row.3
        process.isZombie = zombies.contains(row.0)
        process.sessionIsOutside = outside.contains(row.3)
        return process
    }
    return contents
}

struct RelationCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let contents: ImageContents
    let steps: [RelationPlan.Step]
}

struct RelationPlanTests {
    static let cases = [
        RelationCase(
            testDescription: "a session leader with a child in its group",
            contents: tree((5, 0, 5, 5), (6, 5, 5, 5)),
            steps: [.newSession(5), .fork(parent: 5, child: 6), .join(6, group: 5)]),
        RelationCase(
            testDescription: "a child with a session of its own",
            contents: tree((5, 0, 5, 5), (6, 5, 6, 6)),
            steps: [.newSession(5), .fork(parent: 5, child: 6), .newSession(6)]),
        RelationCase(
            testDescription: "a grandchild that stayed in the older session is forked first",
            contents: tree((5, 0, 5, 5), (6, 5, 6, 6), (7, 6, 5, 5)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .fork(parent: 6, child: 7), .newSession(6),
                .join(7, group: 5),
            ]),
        RelationCase(
            testDescription: "group leaders found their group before others join",
            contents: tree((5, 0, 5, 5), (6, 5, 7, 5), (7, 5, 7, 5)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .fork(parent: 5, child: 7), .newGroup(7),
                .join(6, group: 7),
            ]),
        RelationCase(
            testDescription: "a group whose founder is gone is held open",
            contents: tree((5, 0, 5, 5), (6, 5, 9, 5)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .hold(group: 9, by: 6), .join(6, group: 9),
                .drop(group: 9, by: 6),
            ]),
        RelationCase(
            testDescription: "a root that leads no session keeps the engine's",
            contents: tree((5, 0, 3, 3), (6, 5, 3, 3), outside: [3]),
            steps: [.fork(parent: 5, child: 6)]),
        RelationCase(
            testDescription: "a zombie that led a group still leads it",
            contents: tree((5, 0, 5, 5), (6, 5, 6, 5), (7, 5, 6, 5), zombies: [6]),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .fork(parent: 5, child: 7), .newGroup(6),
                .join(7, group: 6),
            ]),
        RelationCase(
            testDescription: "a session whose founder is gone is founded by a passing task",
            contents: tree((5, 0, 5, 5), (7, 5, 6, 6)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .newSession(6), .fork(parent: 6, child: 7), .adopt(5, true),
                .end(6, by: 5), .adopt(5, false),
            ]),
        RelationCase(
            testDescription: "an orphan in the session of somebody further down",
            contents: tree((5, 0, 5, 5), (6, 5, 6, 6), (7, 5, 6, 6)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .newSession(6), .fork(parent: 6, child: -1),
                .fork(parent: -1, child: 7), .adopt(5, true), .end(-1, by: 6), .adopt(5, false), .join(7, group: 6),
            ]),
        RelationCase(
            testDescription: "a child of a session leader that was forked before, in a session that is gone",
            contents: tree((5, 0, 5, 5), (7, 5, 7, 7), (8, 7, 6, 6)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .newSession(6), .fork(parent: 6, child: 7),
                .fork(parent: 7, child: 8), .newSession(7), .adopt(5, true), .end(6, by: 5), .adopt(5, false),
            ]),
        RelationCase(
            testDescription: "processes side by side were born in the session of their children",
            contents: tree((5, 0, 5, 5), (6, 5, 6, 6), (8, 6, 7, 7), (9, 6, 7, 7), (10, 5, 10, 10), (11, 10, 7, 7)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 7), .newSession(7), .fork(parent: 7, child: 6),
                .fork(parent: 7, child: 10), .fork(parent: 6, child: 8), .fork(parent: 6, child: 9), .newSession(6),
                .fork(parent: 10, child: 11), .newSession(10), .adopt(5, true), .end(7, by: 5), .adopt(5, false),
            ]),
        RelationCase(
            testDescription: "the founder of a group has gone to another",
            contents: tree((5, 0, 5, 5), (6, 5, 5, 5), (7, 5, 6, 5)),
            steps: [
                .newSession(5), .fork(parent: 5, child: 6), .fork(parent: 5, child: 7), .newGroup(6),
                .join(7, group: 6), .join(6, group: 5),
            ]),
    ]

    @Test("processes come back in an order that gives their relations", arguments: cases)
    func order(_ c: RelationCase) throws {
        let steps = try RelationPlan(c.contents).steps
        #expect(steps == c.steps)
    }

    @Test("a root in a session whose founder is gone is born in it")
    func lostRootSession() throws {
        let plan = try RelationPlan(tree((5, 0, 3, 3), (6, 5, 3, 3)))
        #expect(plan.rootSession == 3)
        #expect(plan.steps == [.fork(parent: 5, child: 6)])
    }

    @Test("processes that were above each other come apart again")
    func movedParents() throws {
        let plan = try RelationPlan(
            tree(
                (4, 0, 4, 4), (5, 4, 5, 5), (6, 5, 6, 6), (8, 6, 7, 7), (15, 6, 12, 12), (10, 5, 10, 10),
                (11, 10, 7, 7), (13, 10, 12, 12)))
        // Each passing task ends, and is reaped.
        let passing = plan.steps.filter { if case .end = $0 { true } else { false } }
        #expect(passing.count == 4)
    }

    @Test("a session that belongs to others is refused by name where its process cannot inherit it")
    func foreignSession() throws {
        #expect {
            try RelationPlan(tree((5, 0, 5, 5), (7, 5, 7, 7), (8, 7, 6, 6), (9, 5, 4, 4), outside: [4, 6]))
        } throws: { error in
            guard case .refused(let refusal)? = error as? EngineError else { return false }
            return refusal.reason == "workload-unsupported" && refusal.object.hasPrefix("session ")
        }
    }
}

"""One round: a fault, and the judgement of what it did. The workload is whole and runs, or the image brings it back."""

import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import time

import census
from processes import Child, kill, stat, text, tree, until
from workload import Failed

MIB = 1 << 20
ENGINE_MIB = 64  # What an engine may take of its own, whatever it dumps.


class Spent(Exception):
    """The round was fine, and its workload is not to be used any more: the fault has killed a part of it."""


class Round:
    def __init__(self, lab, running, fault):
        self.lab, self.running, self.fault = lab, running, fault
        self.image = running.image
        self.outcome = ""

    # The engine

    def start(self, words, point=None, action="kill", files=(None, None), **more):
        environment = {"PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"}
        if point:
            environment["CRENGINE_FAULT"] = f"{point}:{action}"
        output = f"{self.running.base}/engine.out"
        for name in (output, f"{output}.err"):
            if os.path.exists(name):
                os.unlink(name)
        files = (files[0], files[1] or output, f"{output}.err")
        return Child([self.lab.engine] + words, "/", environment, files, **more)

    def finish(self, engine, seconds=60):
        """Exit code; remembers the largest amount of memory that an engine took."""
        code = engine.wait(seconds * self.lab.slowness)
        if code == 0:
            self.lab.seconds[self.running.workload.name, engine.words[1]] = time.monotonic() - engine.started
        if code is None:
            raise Failed(f"the engine hung in {' '.join(engine.words[1:])}; {self.words(engine)}")
        kind = engine.words[1]
        if engine.peak_kilobytes > ENGINE_MIB * 1024:
            raise Failed(f"the engine took {engine.peak_kilobytes} KiB in {' '.join(engine.words[1:])}")
        self.lab.peak[kind] = max(self.lab.peak.get(kind, (0, "")), (engine.peak_kilobytes, self.running.workload.name))
        return code

    def words(self, engine):
        output = f"{self.running.base}/engine.out"
        code = engine.code if engine.ended() else "runs"
        return f"exit {code} {text(output)[-500:]} {text(output + '.err')[-500:]}"

    def dump_words(self, *more, output=None):
        words = ["dump", "--pid", str(self.running.pid), "-o", output or self.image, *more]
        return words if output == "-" else words + ["--format", "json"]

    def restore_words(self, image=None):
        return ["restore", "-i", image or self.image, "--detach", "--format", "json"]

    def run(self, words, **more):
        """Must not fail."""
        deadline = time.monotonic() + 10
        while True:
            engine = self.start(words, **more)
            code = self.finish(engine)
            # A PID may be in use for a moment.
            if code != 75 or time.monotonic() > deadline:
                break
        if code != 0:
            raise Failed(f"{words[0]}: {self.words(engine)}; {self.running.diagnosis}")
        return json.loads(text(f"{self.running.base}/engine.out") or "{}")

    # Judgement

    def look(self, seconds=6):
        """`whole`, `gone`, or `half` when it stays so."""
        before = self.before

        def state():
            alive = {pid for pid in before if stat(pid) is not None}
            strays = census.strays(self.running.pid, self.running.known())
            if not alive and not strays:
                return "gone"
            # An engine that was killed may leave a newborn task that has yet to see it.
            if any(census.runs(pid, self.lab.engine) for pid in alive):
                return None
            if not self.running.has_ended and not strays and not census.dying(alive):
                if all(pid in alive for pid in self.steady):
                    return "whole"
            return None

        def lasting():
            # Who was killed is there for a moment still.
            first = state()
            return first if first and not until(lambda: state() != first, 0.05) else None

        found = until(lasting, seconds * self.lab.slowness)
        if found:
            return found
        alive = {pid: census.words(pid) for pid in before if stat(pid) is not None}
        strays = census.strays(self.running.pid, self.running.known())
        raise Failed(f"half: of {sorted(before)} there are {alive}, and {strays} besides; {self.running.diagnosis}")

    def expect_untouched(self):
        """The tree that was there runs on as if nothing had happened."""
        if self.look() != "whole":
            raise Failed("the tree is gone")
        if not until(lambda: not census.traced(self.running.processes()), 5 * self.lab.slowness):
            raise Failed(f"left in a trace: {census.traced(self.running.processes())[:4]}")
        self.running.advance(2)
        # Facts may move for a moment.
        killed = "kill" in self.fault.name or "kill" in self.fault.point
        if not until(lambda: not census.differences(self.facts, census.facts(self.steady), killed), 3):
            found = census.differences(self.facts, census.facts(self.steady), killed)
            if found:
                raise Failed("not untouched: " + "; ".join(found[:6]))
        self.outcome = self.outcome or "untouched"

    def expect_restorable(self, image=None):
        """The tree is gone, and the image brings it back."""
        if self.look() != "gone":
            raise Failed("a tree that was dumped still runs")
        self.run(self.restore_words(image))
        self.expect_restored()

    def expect_restored(self):
        if self.look() != "whole":
            raise Failed(f"the restored tree is gone; {self.running.diagnosis}")
        if not until(lambda: not census.traced(self.running.processes()), 5 * self.lab.slowness):
            raise Failed(f"left in a trace: {census.traced(self.running.processes())[:4]}")
        self.running.advance()
        kept = {key: value for key, value in self.facts.items() if key[1] in ("tasks", "descriptors", "cmdline")}
        if not until(lambda: not census.differences(kept, census.facts(self.steady)), 3):
            found = census.differences(kept, census.facts(self.steady))
            if found:
                raise Failed("restored, but " + "; ".join(found[:6]))
        self.outcome = self.outcome or "restored"

    def settle_dump(self, code, image=None):
        """After a dump that may have failed at any point."""
        image = image or self.image
        if code == 0:
            return self.expect_restorable(image)
        if self.look() == "whole":
            self.outcome = f"untouched (exit {code})"
            self.expect_untouched()
        else:
            if not os.path.exists(image):
                raise Failed(f"the dump ended with {code}, tree and image are gone; {self.running.diagnosis}")
            self.outcome = f"dumped (exit {code})"
            self.expect_restorable(image)

    def settle_restore(self, code):
        """After a restore that may have failed at any point: nothing of it is left, or all of it runs."""
        if self.look() == "whole":
            self.outcome = f"restored (exit {code})"
            return self.expect_restored()
        if code == 0:
            raise Failed("the restore succeeded, and nothing is there")
        self.outcome = f"nothing left (exit {code}), restored again"
        self.expect_restorable()

    # One round

    def play(self):
        self.running.advance(1 + int(self.fault.other * 3))
        first = self.running.processes()
        facts = census.facts(first)
        self.running.advance()
        self.before = self.running.processes()
        self.steady = [pid for pid in first if pid in self.before and self.is_steady(pid, facts)]
        # Servers say in their command line what they do.
        moving = () if self.running.workload.is_steady else ("maps", "descriptors", "tasks", "cmdline")
        facts = {key: value for key, value in facts.items() if key[0] in self.steady and key[1] not in moving}
        self.facts = census.stable(facts, census.facts(self.steady))
        if os.path.exists(self.image):
            os.unlink(self.image)
        name = self.fault.name
        method = getattr(self, name.replace("-", "_"), None)
        if method is None:
            method = self.restore_fails if self.fault.is_restore else self.dump_fails
        method()
        self.running.advance_witness()

    def is_steady(self, pid, facts):
        """Whether a process is one that stays: scripts start and end others as they go."""
        now = stat(pid)
        return now is not None and text(f"/proc/{pid}/cmdline") == facts.get((pid, "cmdline")) and now[0] != "Z"

    def dump(self):
        self.run(self.dump_words())
        if self.look() != "gone":
            raise Failed("a tree that was dumped still runs")

    def plain(self):
        report = self.run(self.dump_words())
        if self.look() != "gone":
            raise Failed("a tree that was dumped still runs")
        again = self.run(self.restore_words())
        if report["tasks"] != again["tasks"]:
            raise Failed(f"{report['tasks']} tasks were dumped and {again['tasks']} restored")
        self.expect_restored()

    def leave_running(self):
        code = self.finish(engine := self.start(self.dump_words("--leave-running")))
        # A pending error of a socket can only be read by taking it, so a dump that goes on may refuse.
        if code not in (0, 1):
            raise Failed(f"dump --leave-running: {self.words(engine)}")
        self.outcome = "" if code == 0 else "refused"
        self.expect_untouched()

    def leave_running_twice(self):
        self.leave_running()
        self.leave_running()
        self.outcome = ""
        self.plain()

    def two_dumps_at_once(self):
        engines = []
        for number in (1, 2):
            words = self.dump_words("--leave-running", output=f"{self.image}.{number}")
            engines.append(self.start(words))
        codes = [self.finish(engine) for engine in engines]
        for number, code in zip((1, 2), codes):
            if (code == 0) != os.path.exists(f"{self.image}.{number}"):
                raise Failed(f"exit {code}, yet the image says otherwise")
            if code == 0:
                os.unlink(f"{self.image}.{number}")
        self.outcome = f"exits {codes}"
        self.expect_untouched()

    def filter(self):
        """Through zstd and back."""
        read, write = os.pipe()
        filter = Child(["/usr/bin/zstd", "-q", "-c"], files=(read, self.image, None))
        engine = self.start(self.dump_words(output="-"), files=(None, write))
        os.close(read)
        os.close(write)
        if self.finish(engine) != 0 or filter.wait(30) != 0:
            raise Failed(f"dump through a filter: {self.words(engine)}")
        if self.look() != "gone":
            raise Failed("a tree that was dumped still runs")
        read, write = os.pipe()
        filter = Child(["/usr/bin/zstd", "-q", "-d", "-c", self.image], files=(None, write, None))
        engine = self.start(self.restore_words("-"), files=(read, None))
        os.close(read)
        os.close(write)
        if self.finish(engine) != 0 or filter.wait(30) != 0:
            raise Failed(f"restore through a filter: {self.words(engine)}")
        self.expect_restored()

    # Dumps that may fail

    def limits(self):
        """Resource limits of the fault, which the engine starts under."""
        name = self.fault.name.split("-", 1)[1]
        if name == "memory":
            return [(resource.RLIMIT_AS, self.fault.between(4 * MIB, 160 * MIB))]
        if name == "descriptors":
            return [(resource.RLIMIT_NOFILE, self.fault.between(4, 64))]
        if name == "file-limit":
            return [(resource.RLIMIT_FSIZE, self.fault.between(1, 8 * MIB))]
        return []

    def groups(self):
        name = self.fault.name.split("-", 1)[1]
        if name == "memory-cgroup":
            return self.lab.limited("memory", self.fault.between(MIB, 128 * MIB))
        if name == "tasks-limit":
            return self.lab.limited("pids", self.fault.between(1, 40))
        return []

    def usual_seconds(self, command):
        """What a dump or a restore of this workload took the last time."""
        name = self.running.workload.name
        if (name, command) not in self.lab.seconds:
            self.image_size()
        return self.lab.seconds.get((name, command)) or self.lab.seconds.get((name, "dump"), 0.05)

    def disturb(self, engine):
        """Sends the signal of the fault, at some time, when there is one."""
        name = self.fault.name
        if name.endswith(("killed", "terminated")):
            until(engine.ended, self.fault.part * self.seconds)
            kill(engine.pid, signal.SIGKILL if name.endswith("killed") else signal.SIGTERM)

    def point(self):
        action = {"killed-at": "kill", "failed-at": "fail"}.get(self.fault.name.split("-", 1)[1])
        return {"point": self.fault.point, "action": action} if action else {}

    def dump_fails(self):
        self.seconds = self.usual_seconds("dump")
        engine = self.start(self.dump_words(), limits=self.limits(), groups=self.groups(), **self.point())
        self.disturb(engine)
        code = self.finish(engine)
        self.expect_code(code, engine)
        if self.fault.name == "dump-failed-at" and code != 70:
            raise Failed(f"the dump did not fail: {self.words(engine)}")
        if self.fault.name == "dump-killed-at" and self.fault.point != "dump-ending":
            there = os.path.exists(self.image)
            if there != (self.fault.point == "dump-committed"):
                raise Failed("an image under its name that is not whole" if there else "no image")
        self.settle_dump(code)

    def expect_code(self, code, engine):
        """Who is not killed says why it fails, and does not crash."""
        name = self.fault.name
        clean = {0, 1, 66, 70, 75}
        if name.endswith(("killed", "killed-at")):
            clean = {0, 137}
        elif name.endswith("terminated"):
            clean.add(143)  # Before it had begun.
        elif "memory" in name:
            return  # Running out of memory may end the engine anyhow.
        elif name.endswith("descriptors"):
            clean |= {132, 133, 134}
        if code not in clean:
            raise Failed(f"the engine crashed: {self.words(engine)}")

    def dump_disk_full(self):
        place = f"{self.running.base}/small"
        os.makedirs(place, exist_ok=True)
        size = max(4096, int(self.fault.part * 1.2 * self.image_size()) & ~4095)
        mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "small", place]
        subprocess.run(mount, check=True)
        try:
            engine = self.start(self.dump_words(output=f"{place}/image"))
            code = self.finish(engine)
            self.expect_code(code, engine)
            if code != 0 and os.listdir(place):
                raise Failed(f"left on a full disk: {os.listdir(place)}")
            self.settle_dump(code, f"{place}/image")
        finally:
            subprocess.run(["/bin/umount", place], check=True)

    def image_size(self):
        """What an image of this workload takes, by a dump that lets it run."""
        self.finish(self.start(self.dump_words("--leave-running", output=f"{self.image}.size")))
        # A look at an empty message marks it, and the next dump would miss it: they shall be others then.
        self.running.advance(2)
        try:
            size = os.path.getsize(f"{self.image}.size")
            os.unlink(f"{self.image}.size")
            return size
        except FileNotFoundError:
            return 100_000

    def dump_device_full(self):
        engine = self.start(self.dump_words(output="/dev/full"))
        code = self.finish(engine)
        if code != 70:
            raise Failed(f"a dump to /dev/full: {self.words(engine)}")
        self.settle_dump(code)

    def dump_pipe_closed(self):
        """The reader goes after so many bytes."""
        wanted = int(self.fault.part * self.image_size())
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        engine = self.start(self.dump_words(output="-"), files=(None, write))
        os.close(write)
        got = b""
        deadline = time.monotonic() + 30 * self.lab.slowness
        while len(got) < wanted and time.monotonic() < deadline:
            if select.select([read], [], [], 1)[0]:
                piece = os.read(read, wanted - len(got))
                if not piece:
                    break
                got += piece
        os.close(read)
        code = self.finish(engine)
        self.expect_code(code, engine)
        if code == 0 and self.look() == "gone":
            # What the pipe had taken in went with it.
            self.outcome = "lost in the pipe"
            raise Spent
        self.settle_dump(code)

    def kill_while_held(self, words, victims, command):
        """Kills one of `victims(engine)` while the engine is held at a point; gives its PID and the engine's exit status."""
        engine = self.start(words, point=self.fault.point, action="stop")
        started = time.monotonic()
        until(lambda: engine.ended() or engine.is_held(), 60 * self.lab.slowness)
        if engine.ended():
            raise Failed(f"the engine did not come to {self.fault.point}: {self.words(engine)}")
        processes = victims(engine)
        victim = processes[int(self.fault.other * len(processes))]
        kill(victim)
        # Some points are come to more than once.
        while not until(engine.ended, 0.01):
            if engine.is_held():
                kill(engine.pid, signal.SIGCONT)
            elif time.monotonic() > started + 60 * self.lab.slowness:
                break
        code = self.finish(engine)
        if code not in (0, 1, 70):
            raise Failed(f"process {victim} died during the {command}: {self.words(engine)}")
        return victim, code

    def dump_task_dies(self):
        """A process of the tree is killed while the engine is held at a point."""
        victim, code = self.kill_while_held(self.dump_words(), lambda engine: self.running.processes(), "dump")
        self.outcome = f"{'root' if victim == self.running.pid else 'a process'} died, exit {code}"
        if code == 0:
            return self.expect_restorable()
        if os.path.exists(self.image) and self.fault.point not in ("dump-committed", "dump-ending"):
            raise Failed("a failed dump left an image")
        left = [pid for pid in self.before if stat(pid) is not None and pid != victim]
        if not until(lambda: not census.traced(left), 5 * self.lab.slowness):
            raise Failed(f"left in a trace: {census.traced(left)[:4]}")
        raise Spent

    def dump_in_freezer(self):
        """The tree's runtime has frozen it: it is left so, whatever happens to the dump."""
        self.seconds = self.usual_seconds("dump")
        place = self.lab.frozen(self.running.processes())
        if not place:
            self.outcome = "no freezer"
            return self.leave_running()
        if set(self.running.processes()) != {int(pid) for pid in text(f"{place}/cgroup.procs").split()}:
            # It has made processes meanwhile, which are in the other cgroup: they run, so nothing can be said.
            self.lab.forget_limits()
            self.outcome = "not all in the freezer"
            return self.expect_untouched()
        progress = self.running.progress
        point, _, action = self.fault.point.partition(":")
        how = {"point": point, "action": action} if action else {}
        engine = self.start(self.dump_words("--leave-running"), **how)
        if point == "killed":
            until(engine.ended, self.fault.part * self.seconds)
            kill(engine.pid, signal.SIGKILL)
        code = self.finish(engine)
        if code not in {"": (0, 1), "killed": (0, 137), "kill": (137, 1), "fail": (70, 1)}[action or point]:
            raise Failed(f"dump of a frozen tree: {self.words(engine)}")
        if not until(lambda: not census.traced(self.running.processes()), 5 * self.lab.slowness):
            raise Failed(f"left in a trace: {census.traced(self.running.processes())[:4]}")
        if not until(lambda: text(f"{place}/freezer.state").strip() == "FROZEN", 5 * self.lab.slowness):
            raise Failed(f"left {text(f'{place}/freezer.state').strip()} by a dump that ended with {code}")
        if action != "kill" and point != "killed" and self.running.progress != progress:
            raise Failed("a frozen tree ran while it was dumped")
        self.lab.forget_limits()
        self.outcome = f"exit {code}, still frozen"
        self.expect_untouched()

    # Restores that may fail

    def restore_fails(self):
        self.seconds = self.usual_seconds("restore")
        self.dump()
        engine = self.start(self.restore_words(), limits=self.limits(), groups=self.groups(), **self.point())
        self.disturb(engine)
        code = self.finish(engine)
        self.expect_code(code, engine)
        self.settle_restore(code)

    def restore_pipe_cut(self):
        """The writer goes after so many bytes."""
        self.dump()
        size = os.path.getsize(self.image)
        count = min(size - 1, int(self.fault.part * size))
        read, write = os.pipe()
        writer = Child(["/usr/bin/head", "-c", str(count), self.image], files=(None, write, None))
        engine = self.start(self.restore_words("-"), files=(read, None))
        os.close(read)
        os.close(write)
        code = self.finish(engine)
        writer.wait(10)
        if code != 66:
            raise Failed(f"an image cut after {count} of {size} bytes: {self.words(engine)}")
        if self.look() != "gone":
            raise Failed("a cut image made tasks")
        self.settle_restore(code)

    def restore_task_dies(self):
        self.dump()
        victim, code = self.kill_while_held(self.restore_words(), lambda engine: tree(engine.pid)[1:], "restore")
        if code == 0:
            # It died when all was done.
            if self.fault.point not in ("restore-armed", "restore-awake"):
                raise Failed(f"process {victim} died, and the restore succeeded")
            self.outcome = "died after the restore"
            raise Spent
        self.settle_restore(code)

"""A workload, by the protocol of Sources/Workloads/README.md."""

import json
import os
import shutil
import signal

from processes import Child, ends, kill, reap, stat, text, tree, until


# Beside applications: scripts, and whose threads, tables or mappings change as they go.
MOVING = (
    "bash", "python", "redis", "tcp-stream", "object-mount-namespace", "object-shared-pages", "object-shared-tables",
    "object-sleep-remaining", "object-stack-growth", "object-sysv-memory",
)


class Failed(Exception):
    """What is wrong, for a person."""


class Workload:
    def __init__(self, folder, name):
        with open(f"{folder}/{name}/workload.json", encoding="utf-8") as file:
            description = json.load(file)

        def here(key):
            return [word.replace("/opt/crlab/workloads", folder) for word in description.get(key, [])]

        self.name = description["name"]
        self.folder = f"{folder}/{name}"
        self.command, self.check, self.witness = here("command"), here("check"), here("witness")
        self.missing = next((file for file in here("requires") if not os.path.exists(file)), None)
        # Scripts and servers start processes, open files and allocate as they go.
        self.is_steady = not self.name.startswith("app-") and self.name not in MOVING
        self.ready_seconds = description.get("readySeconds", 20)


class Running:
    """A workload that was started, wherever its processes come from by now."""

    def __init__(self, workload, base, slowness):
        self.workload, self.slowness = workload, slowness
        self.directory, self.image = f"{base}/work", f"{base}/image"
        self.base = base
        self.witness = None
        self.seen = set()
        os.makedirs(self.directory)
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.environment = dict([path.split("=")]) | {
            "CRLAB_SEED": "11", "CRLAB_REDIS_PORT": "16479", "CRLAB_WORKLOAD": workload.folder,
        }
        logs = ("/dev/null", f"{self.directory}/stdout.log", f"{self.directory}/stderr.log")
        self.pid = Child(workload.command, self.directory, self.environment, logs, session=True).pid
        if not until(lambda: self.events or self.has_ended, workload.ready_seconds * slowness) or self.events != ["ready"]:
            raise Failed(f"does not get ready: {self.diagnosis}")

    @property
    def events(self):
        return text(f"{self.directory}/status").splitlines()

    @property
    def progress(self):
        return int(text(f"{self.directory}/progress").strip() or 0)

    @property
    def has_ended(self):
        reap()
        found = stat(self.pid)
        return found is None or found[0] in "ZX"

    def processes(self):
        pids = tree(self.pid)
        self.seen |= set(pids)
        return pids

    def known(self):
        """Helpers outside of the tree."""
        return [self.witness.pid] if self.witness else []

    def advance(self, steps=1):
        """Waits for more checked steps."""
        before = self.progress

        def done():
            if any(line.startswith("failed:") for line in self.events) or self.has_ended:
                raise Failed(f"broke: {self.diagnosis}")
            return self.progress >= before + steps

        if not until(done, 20 * self.slowness):
            raise Failed(f"no progress beyond {before}: {self.diagnosis}")

    def start_witness(self):
        """A client outside of the tree, whose connections must outlive everything."""
        files = ("/dev/null", f"{self.directory}/witness.out", f"{self.directory}/witness.err")
        self.witness = Child(self.workload.witness, self.directory, self.environment, files)
        self.advance_witness()

    def advance_witness(self):
        if not self.witness:
            return

        def progress():
            return int(text(f"{self.directory}/witness-progress").strip() or 0)

        before = progress()

        def done():
            if self.witness.ended():
                raise Failed(f"the witness has ended: {text(self.directory + '/witness.err')[-300:]}")
            return progress() > before + 4

        if not until(done, 25 * self.slowness):
            raise Failed("the witness gets no answers")

    def verify(self):
        """Asks for the final verification, and waits for the end of the tree."""
        if self.witness:
            witness, self.witness = self.witness, None
            open(f"{self.directory}/witness-stop", "w", encoding="ascii").close()
            if witness.wait(25 * self.slowness) != 0:
                raise Failed(f"the witness says: {text(self.directory + '/witness.err')[-300:]}")
        if self.workload.check:
            files = ("/dev/null", f"{self.base}/check.out", f"{self.base}/check.out")
            check = Child(self.workload.check, self.directory, self.environment, files)
            if check.wait(30 * self.slowness) != 0:
                raise Failed(f"its check says: {text(self.base + '/check.out')[-300:]}")
        before = self.processes()
        open(f"{self.directory}/verify", "w", encoding="ascii").close()
        until(lambda: self.has_ended, 25 * self.slowness)
        if self.events[-1:] != ["verified"]:
            raise Failed(f"verify: {self.diagnosis}")
        if not until(lambda: all(stat(pid) is None for pid in before), 5 * self.slowness):
            raise Failed(f"verified, but not ended: {self.diagnosis}")

    @property
    def diagnosis(self):
        parts = [f"it said {self.events}"]
        errors = text(f"{self.directory}/stderr.log")
        if errors:
            parts.append(f"stderr: {errors[-300:]}")
        if self.pid in ends:
            parts.append(f"root ended with status {ends[self.pid][0]:#x}")
        for pid in tree(self.pid)[:6]:
            for task in sorted(os.listdir(f"/proc/{pid}/task") if stat(pid) else [])[:4]:
                found = stat(f"{pid}/task/{task}")
                parts.append(f"{pid}/{task} {found and found[0]} {text(f'/proc/{pid}/task/{task}/wchan')}")
        return "; ".join(parts)

    def finish(self):
        """Ends whatever is left, for every way out."""
        left = self.seen | set(tree(self.pid)) | set(self.known())
        for pid in left:
            kill(pid, signal.SIGKILL)
        until(lambda: all(stat(pid) is None for pid in left), 5 * self.slowness)
        self.witness = None
        shutil.rmtree(self.base, ignore_errors=True)

"""A run of some 500 cells with warm hosts, beside the same cells with a boot for every dump and every restore."""

import json
import os
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

HOST = "haswell"


def measure(crlab, scenario, quick, entry, say, Unmeasurable):
    """Entries for the answer; `entry` makes one."""
    bench = Matrix(crlab, scenario, say, Unmeasurable)
    few = ["--only", "source=haswell|nehalem,destination=haswell|nehalem"] if quick else []
    prefix = "quick.matrix" if quick else "matrix"
    # Warm means that hosts were used before. What that costs once is a number of its own.
    started = time.monotonic()
    bench.run(["--only", few[1] + ",workload=counter" if quick else "workload=counter"])
    warming = time.monotonic() - started
    # A boot for each step: a sample, because all 540 would take an hour, half of it before the warm run and half after,
    # so that what else the machine does falls on both sides.
    batches = bench.sample(1 if quick else 6, 1 if quick else 3)
    half = (len(batches) + 1) // 2
    cold = [bench.cold(batch) for batch in batches[:half]]
    warm = bench.run(few)
    cold += [bench.cold(batch) for batch in batches[half:]]
    cells = sum(one.cells for one in cold)
    cold_rate = cells / sum(one.seconds for one in cold) * 60
    cold_cpu = sum(one.cpu for one in cold) / cells
    against = f"a boot per dump and per restore ({cells} random cells, {interval(cold)})"
    entries = [
        entry(f"{prefix}.warming", warming, "s"),
        entry(f"{prefix}.cells", warm.cells, "cells"),
        entry(f"{prefix}.boot-each-time.rate", cold_rate, "cells/min"),
        entry(f"{prefix}.rate", warm.rate, "cells/min", cold_rate, against, None if quick else 1 / 25,
              more_is_better=True),
        entry(f"{prefix}.boot-each-time.cpu", cold_cpu, "s/cell"),
        entry(f"{prefix}.cpu", warm.cpu / warm.cells, "s/cell", cold_cpu, against),
        entry(f"{prefix}.not-as-expected", warm.counts["unexpected"], "cells"),
        entry(f"{prefix}.lab-failures", warm.counts["misses"], "cells"),
        entry(f"{prefix}.boots-per-cell", warm.boots / warm.cells, "boots"),
        entry(f"{prefix}.guests-per-cell", warm.guests / warm.cells, "guests"),
        entry(f"{prefix}.carried-per-cell", warm.carried / warm.cells / 1024, "KiB"),
    ]
    if warm.clones:
        entries.append(entry(f"{prefix}.clone", statistics.median(warm.clones), "ms", 200, "200 ms", 1.0))
        entries.append(entry(f"{prefix}.clone.p95", percentile(warm.clones, 95), "ms"))
    entries.append(entry(f"{prefix}.clone.private-memory", bench.private_memory(), "MiB"))
    if not quick:
        # A quarter of the cells on half the hosts: what a cell costs must not grow with their number.
        half = bench.run(["--only", bench.half])
        entries.append(
            entry(f"{prefix}.growth", half.rate / warm.rate, "", 1, f"cost per cell of {half.cells} cells", 1.25))
    return entries


class Matrix:
    half = "source=haswell|nehalem|milan,destination=haswell|nehalem|milan"

    def __init__(self, crlab, scenario, say, unmeasurable):
        self.crlab, self.scenario, self.say, self.unmeasurable = crlab, scenario, say, unmeasurable

    def sample(self, batches, cells):
        """Random cells, the same at every time. Same-host ones: each has a dump of its own, and adds no other cell."""
        plan = subprocess.run(
            [self.crlab, "plan", self.scenario, "--format", "json"], stdout=subprocess.PIPE, check=True)
        names = sorted(cell["id"] for cell in json.loads(plan.stdout)["cells"] if cell["control"])
        chosen = random.Random(25).sample(names, batches * cells)
        return [chosen[start:start + cells] for start in range(0, len(chosen), cells)]

    def cold(self, names):
        return self.run(["--cold", "--isolate"] + [word for name in names for word in ("--only", name)])

    def run(self, words):
        folder = tempfile.mkdtemp(prefix="crlab-bench-")
        try:
            place = os.path.join(folder, "run")
            command = [self.crlab, "run", self.scenario, "--report-dir", place, "--accelerator", "tcg", *words]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            status = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if status not in (0, 1):
                raise self.unmeasurable(f"{' '.join(words)} ended with {status}")
            answer = Answer(place)
            # Of crlab and of all guests: unlike the clock's, this is hardly another on a machine with other work.
            answer.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.say(f"{' '.join(words) or 'all'}: {answer.cells} cells in {answer.seconds:.0f} s, {answer.boots} boots, "
                 f"{answer.guests} guests")
        return answer

    def private_memory(self):
        """MiB that a clone has for itself while it waits with one shell in it: some 60 more than before the shell."""
        guest = subprocess.Popen(
            [self.crlab, "shell", HOST, "--scenario", self.scenario, "--accelerator", "tcg", "--", "/bin/sh", "-c",
             "echo ready; read answer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            if b"ready" not in guest.stdout.readline():
                raise self.unmeasurable("no clone to be had")
            return private_mebibytes(descendants(guest.pid))
        finally:
            guest.stdin.close()
            guest.wait(timeout=30)


class Answer:
    cpu = 0.0

    def __init__(self, place):
        with open(os.path.join(place, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
        self.cells = len(results["cells"])
        self.counts = results["run"]["counts"]
        # The work on the run alone: what every command does before it (looking up images) is not a cell's.
        self.seconds = results["run"]["durationSeconds"]
        self.rate = self.cells / self.seconds * 60
        base = sqlite3.connect(f"file:{os.path.join(place, 'run.sqlite')}?mode=ro", uri=True)
        try:
            rows = list(base.execute("SELECT purpose, milliseconds FROM boot"))
            self.guests = sum(purpose != "template" for purpose, _ in rows)
            self.boots = sum(not purpose.startswith("clone: ") for purpose, _ in rows)
            self.clones = [taken for purpose, taken in rows if purpose.startswith("clone: ") and taken is not None]
            dumps = dict()
            for row in base.execute("SELECT runtime, workload, source, spec, record FROM dump"):
                image = json.loads(row[4]).get("image")
                dumps[row[:4]] = image["bytes"] if image else 0
            attempts = base.execute(
                "SELECT runtime, workload, source, spec FROM attempt JOIN cell ON cell.id = attempt.cell")
            self.carried = sum(dumps.values()) + sum(dumps.get(row, 0) for row in attempts)
        finally:
            base.close()


def interval(runs):
    """95 % of the mean's distribution over batches (Student's t), as text."""
    rates = [one.rate for one in runs]
    if len(rates) < 2:
        return "one batch"
    student = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57}.get(len(rates), 2.0)
    reach = student * statistics.stdev(rates) / len(rates) ** 0.5
    return f"{statistics.mean(rates):.1f} ± {reach:.1f} cells/min"


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


def descendants(pid):
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="utf-8") as file:
                    waiting += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def private_mebibytes(pids):
    """Of the largest of some processes."""
    largest = 0
    for pid in pids[1:]:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                lines = [line.split() for line in file if line.startswith("Private_")]
        except OSError:
            continue
        largest = max(largest, sum(int(line[1]) for line in lines))
    return largest / 1024

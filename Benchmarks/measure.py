"""Measures a whole run and the engine alone; writes results/latest.json and latest.md. Standard library only."""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import matrix
import plan

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "Benchmarks", "results")
CRLAB = os.path.join(ROOT, ".build", "release", "crlab")
CRENGINE = os.path.join(ROOT, ".build", "release", "crengine")
WORKLOADS = os.path.join(ROOT, ".build", "workloads")
# The first issue's limit: at least 150 cells in at most six minutes on two processors under TCG.
LIMIT_SECONDS, LIMIT_CELLS = 360, 150


class Unmeasurable(Exception):
    """Something that this machine, and not crlab's speed, is to blame for."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def entry(name, median, unit, reference=None, against=None, target=None, more_is_better=False):
    """One line of the answer. Ratio is ours to the reference, turned round where more is better: at most `target`."""
    ratio = None
    if reference is not None and median > 0:
        ratio = reference / median if more_is_better else median / reference
    return {
        "name": name, "median": round(median, 4), "unit": unit, "against": against,
        "ratio": None if ratio is None else round(ratio, 4), "target": target,
        "met": None if target is None or ratio is None else ratio <= target,
    }


# The lab


def measure_lab(quick):
    scenario = os.path.join(ROOT, "Scenarios", "quickstart.yaml")
    only = ["--only", "workload=counter|avx2-dispatch"] if quick else []
    prefix = "quick" if quick else "quickstart"
    planned = subprocess.run(
        [CRLAB, "plan", scenario, "--format", "json", *only], stdout=subprocess.PIPE, check=True)
    estimate = json.loads(planned.stdout)["estimate"]
    say(f"{prefix}: {estimate['cells']} cells, {estimate['boots']} boots planned")
    folder = tempfile.mkdtemp(prefix="crlab-bench-")
    try:
        run = os.path.join(folder, "run")
        # Expectations, and so outcomes, are about emulated CPUs.
        words = [CRLAB, "run", scenario, "--report-dir", run, "--accelerator", "tcg", *only]
        started = time.monotonic()
        status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
        seconds = time.monotonic() - started
        if status not in (0, 1):
            raise Unmeasurable(f"the run ended with {status}")
        with open(os.path.join(run, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
        boots = boot_times(os.path.join(run, "run.sqlite"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cells, booted = len(results["cells"]), results["run"]["boots"]
    if quick:
        # Fewer cells share the same boots: nothing to compare with.
        entries = [
            entry(f"{prefix}.duration", seconds, "s"), entry(f"{prefix}.rate", cells / seconds * 60, "cells/min")]
    else:
        entries = [
            entry(f"{prefix}.duration", seconds, "s", LIMIT_SECONDS, "six minutes", 1.0),
            entry(f"{prefix}.rate", cells / seconds * 60, "cells/min", LIMIT_CELLS / LIMIT_SECONDS * 60,
                  "150 cells in six minutes", 1.0, more_is_better=True),
        ]
    entries += [
        # A quarter more than planned: guests that had to be replaced are not the rule.
        entry(f"{prefix}.boots-per-cell", booted / cells, "boots", estimate["boots"] / estimate["cells"],
              "the plan", 1.25),
        entry(f"{prefix}.not-as-expected", results["run"]["counts"]["unexpected"], "cells"),
        entry(f"{prefix}.lab-failures", results["run"]["counts"]["misses"], "cells"),
    ]
    stages = stage_times(results, boots)
    total = sum(sum(times) for times in stages.values()) or 1
    for name, times in stages.items():
        if times:
            entries.append(entry(f"{prefix}.{name}", statistics.median(times), "ms"))
            entries.append(entry(f"{prefix}.{name}.share", 100 * sum(times) / total, "%"))
    if status == 1:
        say("the run was not as expected; its times are measured all the same")
    return entries


def boot_times(path):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [row[0] for row in base.execute("SELECT milliseconds FROM boot WHERE milliseconds IS NOT NULL")]
    finally:
        base.close()


def stage_times(results, boots):
    """Milliseconds of each stage. A dump is made once for all cells that restore it."""
    dumps, stages = {}, {"boot": boots, "dump": [], "carry": [], "restore": [], "verify": []}
    for cell in results["cells"]:
        times = cell["milliseconds"]
        dumps[(cell["runtime"], cell["workload"], cell["source"], cell["spec"])] = times["dump"]
        if cell["outcome"] is None or cell["stage"] == "dump":
            continue
        stages["carry"].append(times["carry"])
        stages["restore"].append(times["restore"])
        if cell["stage"] != "restore":
            stages["verify"].append(times["verify"])
    stages["dump"] = list(dumps.values())
    return stages


def measure_matrix(quick):
    return matrix.measure(CRLAB, os.path.join(ROOT, "Benchmarks", "matrix.yaml"), quick, entry, say, Unmeasurable)


# The engine on the lab machine itself


def measure_engine(rounds):
    if os.geteuid() != 0:
        raise Unmeasurable("not root: the engine is measured only where it may restore PIDs")
    dumps, restores, sizes = [], [], []
    for number in range(rounds + 1):
        folder = tempfile.mkdtemp(prefix="crlab-bench-")
        try:
            times = round_trip(folder, "counter")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if number == 0:
            continue  # the first round pays for cold caches
        dumps.append(times[0])
        restores.append(times[1])
        sizes.append(times[2])
    say(f"engine: {rounds} rounds, dump {min(dumps):.1f}–{max(dumps):.1f} ms, "
        f"restore {min(restores):.1f}–{max(restores):.1f} ms")
    return [
        entry("engine.counter.dump", statistics.median(dumps), "ms"),
        entry("engine.counter.restore", statistics.median(restores), "ms"),
        entry("engine.counter.image", statistics.median(sizes) / 1024, "KiB"),
    ]


def measure_compare(quick):
    """crengine and Debian's CRIU in turns on the same processes, and how cost grows."""
    if os.geteuid() != 0:
        raise Unmeasurable("not root: both need it")
    build = os.path.join(ROOT, ".build", "benchmarks")
    here = os.path.join(ROOT, "Benchmarks", "engine")
    os.makedirs(build, exist_ok=True)
    load = os.path.join(build, "load")
    subprocess.run(["cc", "-O2", "-pthread", "-o", load, os.path.join(here, "load.c")], check=True)
    criu = os.path.join(build, "criu", "criu")
    fetched = subprocess.run([os.path.join(here, "fetch-criu"), os.path.dirname(criu)], stdout=subprocess.DEVNULL)
    answer = os.path.join(build, "compare.json")
    words = [sys.executable, os.path.join(here, "compare.py"), "--engine", CRENGINE, "--load", load, "--json", answer]
    if fetched.returncode == 0:
        words += ["--criu", criu]
    else:
        say("compare: no CRIU to be had; crengine alone is measured")
    if quick:
        words += ["--kinds", "tiny", "--rounds", "5"]
    else:
        os.makedirs(RESULTS, exist_ok=True)
        words += ["--series", "--plot", os.path.join(RESULTS, "growth.svg")]
    subprocess.run(words, check=True)
    with open(answer, encoding="utf-8") as file:
        found = json.load(file)["compare"]
    entries = []
    for name, tools in found.items():
        for step in ("dump", "restore"):
            reference = tools.get("criu", {}).get(step)
            entries.append(entry(f"compare.{name}.{step}", tools["crengine"][step], "ms", reference,
                                 None if reference is None else "CRIU", None if reference is None else 0.5))
        if "copy" in tools:
            entries.append(entry(f"compare.{name}.dump-to-copy", tools["crengine"]["dump"], "ms", tools["copy"]["dump"],
                                 "one copy of the same bytes", 1.5))
    return entries


def round_trip(folder, workload):
    """Dumps and restores one workload; returns both times in milliseconds, and the image's size in bytes."""
    with open(os.path.join(WORKLOADS, workload, "workload.json"), encoding="utf-8") as file:
        command = json.load(file)["command"]
    home = f"/opt/crlab/workloads/{workload}"
    command = [word.replace(home, os.path.join(WORKLOADS, workload)) for word in command]
    work, image = os.path.join(folder, "work"), os.path.join(folder, "image")
    os.mkdir(work)
    environment = {
        "PATH": "/usr/bin:/bin", "CRLAB_SEED": "1", "CRLAB_WORKLOAD": os.path.join(WORKLOADS, workload)}
    with open(os.path.join(work, "stdout.log"), "ab") as out, open(os.path.join(work, "stderr.log"), "ab") as err:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True)
    try:
        await_event(work, "ready", process.pid)
        dump = timed([CRENGINE, "dump", "--pid", str(process.pid), "-o", image, "--format", "json"])
        process.wait(timeout=10)
        size = os.path.getsize(image)
        restore = timed([CRENGINE, "restore", "-i", image, "--detach", "--format", "json"])
        with open(os.path.join(work, "verify"), "wb"):
            pass
        await_event(work, "verified", process.pid)
        return dump, restore, size
    except BaseException:
        end_workload(process.pid, work)
        raise


def timed(words):
    started = time.monotonic()
    answer = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60)
    milliseconds = (time.monotonic() - started) * 1000
    if answer.returncode != 0:
        raise Unmeasurable(f"{' '.join(words[:2])} ended with {answer.returncode}: {answer.stdout.decode()[:500]}")
    return milliseconds


def await_event(work, event, pid, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(os.path.join(work, "status"), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            lines = []
        if event in lines:
            return
        failed = [line for line in lines if line.startswith("failed")]
        if failed:
            raise Unmeasurable(f"the workload says {failed[0]}")
        time.sleep(0.002)
    raise Unmeasurable(f"the workload (PID {pid}) never said {event}")


def end_workload(pid, work):
    """Ends a workload by its work directory as well: its PID alone may be another program's by now."""
    try:
        if os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(work):
            os.kill(pid, 9)
    except OSError:
        pass


# The answer


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} processors, {model}, Linux {platform.release()}"


def table(entries, load, unmeasured):
    lines = [
        "# Benchmarks", "",
        f"On {machine()}; load average at the start {load:.1f}" + (" (not quiet)" if load > 0.5 else "") + ".", "",
        "| name | median | against | ratio | target | met |", "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    for item in entries:
        met = {True: "yes", False: "**no**", None: ""}[item["met"]]
        ratio = "" if item["ratio"] is None else f"{item['ratio']:.2f}"
        target = "" if item["target"] is None else f"≤ {item['target']:g}"
        lines.append(
            f"| {item['name']} | {item['median']:.4g} {item['unit']} | {item['against'] or ''} | {ratio} | {target}"
            f" | {met} |")
    for name, why in unmeasured:
        lines.append(f"\nNot measured: {name}: {why}.")
    return "\n".join(lines) + "\n"


def write(name, text):
    """At once: a reader never sees half of it."""
    path = os.path.join(RESULTS, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def measure_plan(quick):
    """Milliseconds for plans of about ten thousand cells; the target of 200 is for exactly so many."""
    entries, prefix = [], "quick." if quick else ""
    for name, seconds, cells in plan.measure(CRLAB, 3 if quick else 9):
        limit = 200 * (cells if cells and cells > 10_000 else 10_000) / 10_000
        entries.append(
            entry(prefix + name, seconds * 1000, "ms", limit, f"200 ms for 10,000 cells ({cells or 'a part'})",
                  None if quick else 1.0))
    return entries


def main():
    parser = argparse.ArgumentParser(
        prog="Benchmarks/run", description="Measures crlab. Exit status 1 when a target is missed, 69 when nothing "
        "could be measured.")
    parser.add_argument("--quick", action="store_true", help="two workloads and five rounds; no targets for time")
    parser.add_argument("--only", choices=["lab", "matrix", "plan", "engine", "compare"], help="a part")
    parser.add_argument("--rounds", type=int, help="rounds of the engine, by default 50 (quick: 5)")
    options = parser.parse_args()
    rounds = options.rounds or (5 if options.quick else 50)
    load = os.getloadavg()[0]
    entries, unmeasured = [], []
    for name, measure in [
        ("engine", lambda: measure_engine(rounds)), ("compare", lambda: measure_compare(options.quick)),
        ("plan", lambda: measure_plan(options.quick)), ("lab", lambda: measure_lab(options.quick)),
        ("matrix", lambda: measure_matrix(options.quick)),
    ]:
        if options.only not in (None, name):
            continue
        try:
            entries += measure()
        except (Unmeasurable, OSError, subprocess.SubprocessError) as error:
            say(f"benchmarks: {name} was not measured: {error}")
            unmeasured.append((name, str(error)))
    if not entries:
        return 69
    os.makedirs(RESULTS, exist_ok=True)
    text = table(entries, load, unmeasured)
    write("latest.json", json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    write("latest.md", text)
    print(text, end="")
    return 1 if any(item["met"] is False for item in entries) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Scenarios of about ten thousand cells, and how long `crlab plan` takes for them: the command's start included."""

import json
import os
import statistics
import subprocess
import tempfile
import time

CPUS = ["Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell", "Broadwell", "EPYC", "EPYC-Milan"]
KERNELS = ["debian-5.10", "debian-6.1", "debian-6.12", "debian-newest"]
EXPECT = """expect:
  - { outcome: restored, because: the destination has what the workload uses }
  - { match: { workload: python, destination: "Nehalem*" }, outcome: broke, because: libcrypto picks AVX }
  - { match: { source: "EPYC*", destination: "*Bridge*" }, outcome: broke, because: picks AVX2 }
exclude: [{ workload: memory, control: true }]
"""
WORKLOADS = "workloads: [bash, counter, files, libc-strings, memory, pipes, python, redis, signals, threads]\n"


def grid(memory):
    return (f"grid: {{ cpu: [{', '.join(CPUS)}], kernel: [{', '.join(KERNELS)}], memory: {memory} }}\n"
            + WORKLOADS + EXPECT)


SCENARIOS = {
    # 32 hosts squared, ten workloads.
    "product": grid([512]),
    # 8 + 4 + 90 values one step away, both directions, ten workloads, five runtimes.
    "around": grid(list(range(256, 346))) + "runtimes: [native, criu-3.17, criu-4.1, criu-4.2, criu-4.3]\n"
    "matrix: { around: Haswell_debian-6.1_300 }\n",
    # Ten thousand candidates, of which pairwise covering needs few.
    "pairwise": grid([512]) + "matrix: { cover: 2 }\n",
}


def measure(crlab, rounds):
    """Yields name, median seconds, and the number of cells; None in place of cells for a part of the same plan."""
    with tempfile.TemporaryDirectory(prefix="crlab-bench-") as folder:
        for name, text in SCENARIOS.items():
            path = os.path.join(folder, f"{name}.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            answer = subprocess.run([crlab, "plan", path, "--format", "json"], stdout=subprocess.PIPE, check=True)
            yield f"plan.{name}", median([crlab, "plan", path], rounds), json.loads(answer.stdout)["estimate"]["cells"]
        path = os.path.join(folder, "product.yaml")
        yield "plan.shard", median([crlab, "plan", path, "--shard", "3/16"], rounds), None


def median(words, rounds):
    times = []
    for _ in range(rounds):
        started = time.monotonic()
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)

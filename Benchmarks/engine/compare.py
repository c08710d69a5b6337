"""Dumps and restores processes of given sizes with crengine and with CRIU in turns. Standard library only.

usage: compare.py --engine CRENGINE [--criu COMMAND] --load PROGRAM [--rounds N] [--kinds a,b] [--series] [--json FILE]
                  [--plot FILE.svg]

Both write to the same folder, which is in memory where /dev/shm is, so that disks are not what is measured. Each round starts
the process anew for each tool, dumps it, checks that it is gone, restores it detached, checks that it lives, ends it.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KINDS = {
    "tiny": ("tiny", 0, 30), "pages-1GiB": ("pages", 1024, 5), "processes-200": ("processes", 200, 5),
    "threads-1000": ("threads", 1000, 5), "files-10000": ("files", 10000, 5), "redis-1GiB": ("redis", 1024, 3),
}
# For the plot: cost must grow with the count and no faster.
SERIES = {
    "pages": [64, 128, 256, 512, 1024], "processes": [25, 50, 100, 200], "threads": [125, 250, 500, 1000],
    "files": [1250, 2500, 5000, 10000],
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def children(pid):
    """All descendants."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += [int(child)] + children(int(child))
    except OSError:
        pass
    return found


def exists(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "X"
    except OSError:
        return False


def await_end(pids):
    deadline = time.monotonic() + 20
    reap()
    while any(exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise RuntimeError(f"still there after the dump: {[pid for pid in pids if exists(pid)]}")
        reap()
        time.sleep(0.001)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def timed(command, folder):
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    spent = (time.perf_counter() - started) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stdout.decode(errors='replace')[-600:]}")
    return spent


class Load:
    """A running load in a folder of its own."""

    def __init__(self, program, kind, count, base):
        self.folder = tempfile.mkdtemp(prefix="load-", dir=base)
        log = os.path.join(self.folder, "out")
        words = [program, kind, str(count)]
        if kind == "redis":
            words = ["redis-server", "--port", "0", "--unixsocket", os.path.join(self.folder, "socket"), "--save", "",
                     "--appendonly", "no", "--enable-debug-command", "yes"]
        with open(log, "wb") as out:
            process = subprocess.Popen(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.pid = process.pid
        process.returncode = 0  # Not ours to wait for: restored, it is somebody else's child.
        deadline = time.monotonic() + 120
        while os.path.getsize(log) < 6:
            if time.monotonic() > deadline:
                raise RuntimeError("the load does not get ready")
            time.sleep(0.002)
        if kind == "redis":
            self.fill(count)
        time.sleep(0.05)
        self.pids = [self.pid] + children(self.pid)

    def fill(self, mebibytes):
        """Values of 1 MiB that do not compress."""
        deadline = time.monotonic() + 30
        while True:
            try:
                redis = socket.socket(socket.AF_UNIX)
                redis.connect(os.path.join(self.folder, "socket"))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        value = os.urandom(1 << 20)
        for number in range(mebibytes):
            redis.sendall(b"*3\r\n$3\r\nSET\r\n$8\r\n%08d\r\n$%d\r\n" % (number, len(value)) + value + b"\r\n")
            answer = redis.recv(64)
            if not answer.startswith(b"+OK"):
                raise RuntimeError(f"redis: {answer!r}")
        redis.close()

    def end(self):
        for pid in set(self.pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        await_end(self.pids)
        shutil.rmtree(self.folder, ignore_errors=True)


def engine_round(crengine, load, image):
    path = os.path.join(image, "image")
    dump = timed([crengine, "dump", "--pid", str(load.pid), "-o", path], load.folder)
    await_end(load.pids)
    restore = timed([crengine, "restore", "-i", path, "--detach"], load.folder)
    return dump, restore


def criu_round(criu, load, image):
    common = ["-D", image, "-v0", "--ghost-limit", "1G"]
    dump = timed([criu, "dump", "-t", str(load.pid), *common], load.folder)
    await_end(load.pids)
    restore = timed([criu, "restore", "-d", *common], load.folder)
    return dump, restore


def copy_time(mebibytes, base):
    """Milliseconds to copy that much resident memory once, from one process's memory to another file's."""
    buffer = bytearray(os.urandom(1 << 20)) * mebibytes
    path = os.path.join(base, "copy")
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        view = memoryview(buffer)
        while view:
            view = view[file.write(view[: 4 << 20]) :]
    spent = (time.perf_counter() - started) * 1000
    os.unlink(path)
    return spent


def plot(series, path):
    """One panel per kind: milliseconds over count, dump and restore."""
    width, height, gap = 260, 200, 60
    parts = []
    for index, (kind, points) in enumerate(series.items()):
        left, top = gap + index * (width + gap), 30
        highest = max(max(times.values()) for _, times in points)
        most = points[-1][0]
        parts.append(f'<text x="{left + width / 2}" y="18" text-anchor="middle">{kind}</text>')
        parts.append(f'<path d="M{left} {top}v{height}h{width}" fill="none" stroke="#888"/>')
        parts.append(f'<text x="{left - 4}" y="{top + 8}" text-anchor="end">{highest:.0f} ms</text>')
        parts.append(f'<text x="{left + width}" y="{top + height + 16}" text-anchor="end">{most}</text>')
        for step, colour in (("dump", "#1f6fb4"), ("restore", "#c2571a")):
            places = [(left + count / most * width, top + height - times[step] / highest * height)
                      for count, times in points]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    total = gap + len(series) * (width + gap)
    parts.append('<text x="60" y="275" fill="#1f6fb4">dump</text><text x="110" y="275" fill="#c2571a">restore</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="290" font-family="sans-serif" '
                   f'font-size="12">' + "".join(parts) + "</svg>\n")


def measure(tools, program, kind, count, rounds, base):
    times = {name: {"dump": [], "restore": []} for name in tools}
    for index in range(rounds + 1):
        for name, run in tools.items():
            load = Load(program, kind, count, base)
            image = tempfile.mkdtemp(prefix="image-", dir=base)
            try:
                dump, restore = run(load, image)
                if not all(exists(pid) for pid in load.pids):
                    raise RuntimeError(f"{name}: not everything lives after the restore")
            finally:
                load.end()
                shutil.rmtree(image, ignore_errors=True)
            if index > 0:  # The first round warms caches up.
                times[name]["dump"].append(dump)
                times[name]["restore"].append(restore)
    return {
        name: {step: statistics.median(values) for step, values in steps.items()} for name, steps in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--criu")
    parser.add_argument("--load", required=True)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--series", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="crlab-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    tools = {"crengine": lambda load, image: engine_round(options.engine, load, image)}
    if options.criu:
        tools["criu"] = lambda load, image: criu_round(options.criu, load, image)
    answer = {"compare": {}, "series": {}}
    # Restored processes are reparented to the nearest subreaper: this process, which reaps them.
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    try:
        for name in filter(None, options.kinds.split(",")):
            kind, count, rounds = KINDS[name]
            if kind == "redis" and not shutil.which("redis-server"):
                say("redis-1GiB: no redis-server here")
                continue
            found = measure(tools, options.load, kind, count, options.rounds or rounds, base)
            if kind == "pages":
                copies = [copy_time(count, base) for _ in range(3)]
                found["copy"] = {"dump": statistics.median(copies)}
            answer["compare"][name] = found
            say(f"{name}: " + "; ".join(
                f"{tool} " + " ".join(f"{step} {value:.1f} ms" for step, value in steps.items())
                for tool, steps in found.items()))
        if options.series:
            only = {"crengine": tools["crengine"]}
            for kind, counts in SERIES.items():
                answer["series"][kind] = [
                    [count, measure(only, options.load, kind, count, options.rounds or 3, base)["crengine"]]
                    for count in counts]
                say(f"{kind}: {answer['series'][kind]}")
            if options.plot:
                plot(answer["series"], options.plot)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    text = json.dumps(answer, indent=1)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()

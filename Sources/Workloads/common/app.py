"""What the application workloads share; the protocol is in ../README.md. Installed beside each of their scripts.

The application is a child of the script. The script is its client: it keeps connections open for as long as it lives and
writes each acknowledged write to `acks.log`, which is nobody's memory but the disk's. Waits are select() with relative
times, counted: a clock that jumps across hosts must neither shorten nor lengthen them.
"""

import errno
import os
import select
import signal
import socket
import subprocess
import sys

SEED = int(os.environ.get("CRLAB_SEED", "1"))
WORK = os.getcwd()
FOLDER = os.environ.get("CRLAB_WORKLOAD") or os.path.dirname(os.path.abspath(sys.argv[0]))


class Wrong(Exception):
    """What is wrong, in one line."""


def event(line):
    with open(f"{WORK}/status", "a") as file:
        file.write(line + "\n")


def pause(seconds):
    select.select([], [], [], seconds)


def mixed(number):
    """A number that looks random and follows from the seed."""
    number = (number * 2654435761 + SEED * 97) & 0xFFFFFFFF
    number ^= number >> 15
    return (number * 2246822519) & 0xFFFFFFFF


def free_port(first):
    """The first port from `first` on that nobody listens on; kept in the file `port` for the check."""
    for port in range(first, first + 60):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        with open(f"{WORK}/port", "w") as file:
            file.write(str(port))
        return port
    raise Wrong(f"no port from {first} on is free")


def known_port():
    with open(f"{WORK}/port") as file:
        return int(file.read())


class Connection:
    """A stream that stays open; its end is a dropped connection."""

    def __init__(self, address, name="connection"):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.connect(address)
        if not isinstance(address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, content):
        try:
            self.socket.sendall(content)
        except OSError as problem:
            raise Wrong(f"{self.name} was dropped: {problem.strerror}") from None

    def more(self):
        for _ in range(120):
            if select.select([self.socket], [], [], 1)[0]:
                break
        else:
            raise Wrong(f"{self.name}: no answer in two minutes")
        try:
            content = self.socket.recv(65536)
        except OSError as problem:
            raise Wrong(f"{self.name} was dropped: {problem.strerror}") from None
        if not content:
            raise Wrong(f"{self.name} was dropped: the server closed it")
        self.rest += content

    def line(self):
        while b"\n" not in self.rest:
            self.more()
        line, _, self.rest = self.rest.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, count):
        while len(self.rest) < count:
            self.more()
        content, self.rest = self.rest[:count], self.rest[count:]
        return content

    def close(self):
        self.socket.close()


class Server:
    """The application: a child process, which must neither end nor lose its connections."""

    def __init__(self, command, **options):
        self.log = open(f"{WORK}/server.log", "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=WORK, **options)

    def require(self):
        if (code := self.process.poll()) is not None:
            with open(f"{WORK}/server.log", errors="replace") as file:
                last = file.read().strip().split("\n")[-1]
            raise Wrong(f"the server has gone with {code}: {last}")

    def connected(self, address, name="connection"):
        """The first connection that it takes."""
        while True:
            self.require()
            try:
                return Connection(address, name)
            except OSError as problem:
                if problem.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                    raise
            pause(0.02)

    def end(self, number=signal.SIGTERM, codes=(0,)):
        self.process.send_signal(number)
        for _ in range(600):
            if self.process.poll() is not None:
                break
            pause(0.05)
        else:
            raise Wrong("the server does not end")
        if self.process.returncode not in codes:
            raise Wrong(f"the server ended with {self.process.returncode}")


class AckLog:
    """Acknowledged writes, one line each, on disk before anybody relies on them."""

    def __init__(self, name="acks.log"):
        self.descriptor = os.open(f"{WORK}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, *words):
        os.write(self.descriptor, (" ".join(map(str, words)) + "\n").encode())

    @staticmethod
    def read(name="acks.log"):
        """All whole lines, as lists of words."""
        try:
            with open(f"{WORK}/{name}") as file:
                return [line.split() for line in file.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []


def one_line(problem):
    text = str(problem) if isinstance(problem, Wrong) else f"{type(problem).__name__}: {problem}"
    return " ".join(text.split())[:400]


def run(application):
    """Runs an application: `start()`, then `step(number)` until asked to verify, `damage()` in between when asked to
    break, `verify()` at the end, and `stop()` whatever happens."""
    verified = False
    try:
        application.start()
        application.step(1)
        progress = os.open(f"{WORK}/progress", os.O_RDWR | os.O_CREAT, 0o644)
        event("ready")
        number = 1
        while not os.path.exists(f"{WORK}/verify"):
            number += 1
            application.step(number)
            os.pwrite(progress, b"%020d\n" % number, 0)
            if os.environ.get("CRLAB_BREAK") == "1" and number == 5:
                application.damage()
                application.verify()
            pause(0.01)
        application.verify()
        verified = True
    except BaseException as problem:
        event(f"failed: {one_line(problem)}")
    try:
        application.stop(verified)
    except BaseException as problem:
        if verified:
            event(f"failed: at the end: {one_line(problem)}")
        verified = False
    if verified:
        event("verified")
    sys.stdout.flush()
    os._exit(0 if verified else 1)


def check(body):
    """Runs the check from outside: exit 0, or the reason on stderr."""
    try:
        body()
    except BaseException as problem:
        sys.stderr.write(one_line(problem) + "\n")
        sys.exit(1)

"""Processes as this PID namespace shows them. The harness is its first process, so whoever is orphaned becomes its child."""

import os
import resource
import signal
import time

ends = {}  # PID to wait status and resource usage of each child that was reaped


def reap():
    """Takes every child that has ended."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ends[pid] = (status, usage)


def until(condition, seconds):
    """Asks again every few milliseconds; the answer, or the last false one at the deadline."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        reap()
        answer = condition()
        if answer or time.monotonic() > deadline:
            return answer
        signal.sigtimedwait({signal.SIGCHLD}, max(0, min(pause, deadline - time.monotonic())))
        pause = min(0.02, pause * 1.5)


def text(path):
    """A file of /proc; empty when its process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def stat(pid):
    """From the state on: state, parent, group, session…; `None` when it is gone."""
    line = text(f"/proc/{pid}/stat")
    return line[line.rindex(")") + 2 :].split() if ")" in line else None


def all_pids():
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def tree(root):
    """`root` and all below it, zombies included."""
    children = {}
    for pid in all_pids():
        found = stat(pid)
        if found:
            children.setdefault(int(found[1]), []).append(pid)
    if stat(root) is None:
        return []
    pids = [root]
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Child:
    """A program that the harness has started."""

    def __init__(self, words, directory="/", environment=None, files=(None, None, None), session=False, limits=(), groups=()):
        """`files` are names or descriptors for 0, 1, 2; `limits` (resource, bytes); `groups` cgroup.procs files to join."""
        self.words = words
        self.started = time.monotonic()
        # A signal for the program may come before that is there; the harness's own handlers are not for it.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        self.pid = os.fork()
        ends.pop(self.pid, None)
        if self.pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        else:
            try:
                self._become(words, directory, environment or {}, files, session, limits, groups)
            finally:
                os._exit(126)

    @staticmethod
    def _become(words, directory, environment, files, session, limits, groups):
        if session:
            os.setsid()
        for group in groups:
            with open(group, "w", encoding="ascii") as file:
                file.write("0")
        for number, file in enumerate(files):
            if not isinstance(file, int):
                flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
                file = os.open(file or "/dev/null", flags, 0o644)
            os.dup2(file, number)
        os.chdir(directory)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for kind, value in limits:
            # The hard limit stays, or nobody without CAP_SYS_RESOURCE could give a restored process its own back.
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
        os.execve(words[0], words, environment)

    def ended(self):
        reap()
        return self.pid in ends

    def wait(self, seconds):
        """Exit code, or 128 + signal; `None` when it had to be killed at the deadline."""
        if not until(self.ended, seconds):
            kill(self.pid, signal.SIGCONT)
            kill(self.pid)
            until(self.ended, 10)
            return None
        return self.code

    @property
    def code(self):
        status = ends[self.pid][0]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    @property
    def peak_kilobytes(self):
        return ends[self.pid][1].ru_maxrss

    def is_held(self):
        """Whether it has stopped itself, at a fault point."""
        found = stat(self.pid)
        return bool(found) and found[0] == "T"

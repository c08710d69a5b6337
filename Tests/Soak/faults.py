"""What can happen to a dump or a restore, and how a round draws it."""

import math

DUMP_POINTS = ["dump-frozen", "dump-collected", "dump-metadata", "dump-written", "dump-committed", "dump-ending"]
RESTORE_POINTS = [
    "restore-read", "restore-files", "restore-tasks", "restore-pages", "restore-descriptors", "restore-state",
    "restore-armed", "restore-awake", "restore-released",
]

# Name to weight: how often it is drawn.
WEIGHTS = {
    "plain": 6,
    "leave-running": 3,
    "leave-running-twice": 2,
    "two-dumps-at-once": 2,
    "filter": 4,
    "dump-killed-at": 8,
    "dump-failed-at": 5,
    "dump-killed": 4,
    "dump-terminated": 4,
    "dump-disk-full": 4,
    "dump-device-full": 1,
    "dump-file-limit": 3,
    "dump-pipe-closed": 5,
    "dump-memory": 4,
    "dump-memory-cgroup": 2,
    "dump-descriptors": 3,
    "dump-task-dies": 6,
    "dump-in-freezer": 5,
    "restore-killed-at": 8,
    "restore-failed-at": 5,
    "restore-killed": 6,
    "restore-terminated": 3,
    "restore-pipe-cut": 4,
    "restore-file-limit": 2,
    "restore-memory": 4,
    "restore-memory-cgroup": 2,
    "restore-descriptors": 3,
    "restore-tasks-limit": 2,
    "restore-task-dies": 5,
}


class Fault:
    """One fault with its numbers."""

    def __init__(self, random):
        self.name = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.part = random.random()  # of a duration or a size
        self.other = random.random()
        self.is_restore = self.name.startswith("restore")
        points = DUMP_POINTS if self.name.startswith("dump") else RESTORE_POINTS
        if self.name.endswith("failed-at"):
            # Behind these there is no way back, so nothing can fail there.
            points = [point for point in points if point not in ("dump-ending", "restore-released")]
        if self.name == "dump-in-freezer":
            # What is done to the engine; the tree outlives all of it.
            points = [f"{point}:{action}" for point in ["dump-asking", *DUMP_POINTS[:-1]] for action in ("kill", "fail")]
            self.point = random.choice(["", "", "killed", *points])
            return
        if self.name.endswith("task-dies"):
            points = [point for point in points if point not in ("restore-read", "restore-released")]
        self.point = random.choice(points)

    def between(self, low, high):
        """A number from `low` to `high`, small ones as likely as large ones."""
        return int(math.exp(math.log(low) + self.part * (math.log(high) - math.log(low))))

    def __str__(self):
        if self.name.endswith(("-at", "task-dies", "freezer")):
            return f"{self.name} {self.point}"
        return f"{self.name} {self.part:.2f}"

"""What does a lock cost beside pthread's, process-shared?

Both columns come out of one run of lwlock_bench, which takes turns between them.
"""

import re

import servers

SECTION = "Locks in shared memory: nanoseconds of an acquire and release"
NAME = "{} lock, {}, ns"
MANY = "one process, 1,100 slots used"
COLUMNS = ("Warren", "pthread")
PROCESSES = {"one process": 1, "8 processes contending": 8, MANY: 1}
ROUNDS, MILLISECONDS = 9, 60
THEIRS = {"exclusive": "pthread mutex", "shared": "pthread rwlock"}
printed = {}  # by round: (mode, processes, lock): ns


class Pthread:
    """A column, no server."""

    name = "pthread"

    def __init__(self, directory, effort):
        self.round = 0

    def start(self):
        pass

    def stop(self):
        pass

    def version(self):
        return "the mutex and the rwlock of glibc, process-shared, not robust"


def costs(current_round):
    if current_round not in printed:
        lines = servers.run([servers.BUILD / "bench/lwlock_bench", ROUNDS, MILLISECONDS]).splitlines()
        found = (re.fullmatch(r"(\w+) +(\d+)  (.*?) +([\d.]+) +[\d.]+", line) for line in lines)
        printed[current_round] = {(row[1], int(row[2]), row[3]): float(row[4]) for row in found if row}
    return printed[current_round]


def cost_ns(server, mode, load):
    # Ours are those of a server that had up to 64 processes at once, unless said otherwise.
    ours = "lwlock, 1100 slots" if load == MANY else "lwlock, 64 slots"
    lock = THEIRS[mode] if server.name == "pthread" else ours
    return costs(server.round)[mode, PROCESSES[load], lock]


def rows(figure):
    """`figure` makes a row of figures.py."""
    for load in PROCESSES:
        for mode in THEIRS:
            yield figure(SECTION, NAME.format(mode, load), COLUMNS,
                         lambda server, what=(mode, load): cost_ns(server, *what))


def goals(goal):
    for mode, theirs in THEIRS.items():
        for load in PROCESSES:
            if load != MANY:
                yield goal(f"not slower than a {theirs}", NAME.format(mode, load), at_most=1,
                           theirs="pthread")

"""What is measured, and how?

The others are redis-benchmark's clients, on the same thousand keys as the victims, whose backends are
killed while they execute batches. In control runs the same victims do the same and nobody is killed.
Times of kills and of repairs are CLOCK_MONOTONIC's, the server's from INCIDENTS. What one death a second
takes from the throughput: dip.py.
"""

import contextlib
import dataclasses
import os
import random
import re
import signal
import socket
import statistics
import threading
import time

import servers

KEYS = 1000  # few, so that victims and others meet on the same pages
OTHERS = 20
VICTIMS = 4
BATCH = 32
ANSWERS = BATCH * len(b"+OK\r\n")
PATIENCE_SECONDS = 60
KEPT_INCIDENTS = 256  # by the server


class Effort:
    def __init__(self, deaths, quick):
        self.deaths = deaths
        self.pairs = 10 if quick else 120  # of seconds with a death and without; fewer than KEPT_INCIDENTS
        # For redo, since a checkpoint: the same number for both servers.
        self.changes = 50_000 if quick else 200_000
        self.kills = 3 if quick else 10
        # A server gives up after more than five full restarts within a minute.
        self.wild_deaths = 2 if quick else 5


@dataclasses.dataclass
class Results:
    deaths: object
    dip: object
    killed: dict
    wild: dict
    changes: int  # that redo found, before each of these


def monotonic_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


# -- Victims.


class Victim:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port),
                                               timeout=PATIENCE_SECONDS)
        self.socket.sendall(b"CLIENT INFO\r\n")
        self.pid = int(re.search(rb"\bpid=(\d+)", self.socket.recv(4096))[1])
        self.batch = b"".join(
            b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n" %
            (random.randrange(KEYS), len(servers.VALUE), servers.VALUE) for _ in range(BATCH))

    def send(self):
        self.socket.sendall(self.batch)

    def receive(self):
        left = ANSWERS
        while left > 0:
            answer = self.socket.recv(left)
            if not answer:
                raise EOFError
            left -= len(answer)


class Victims(threading.Thread):
    """At work until stopped. One of them is killed every `interval` seconds, or (None) when strike_at()
    says so."""

    def __init__(self, server, interval):
        super().__init__()
        self.server = server
        self.interval = interval
        self.next_strike = None  # (when, whether it kills)
        self.kills = {}  # pid -> when, in microseconds
        self.failure = None
        self.stopped = threading.Event()

    def strike_at(self, when, deadly):
        """At this time of the monotonic clock. One that is not deadly costs the machine the same, but for
        the death."""
        self.next_strike = (when, deadly)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self):
        try:
            self.work()
        except Exception as failure:  # for the thread that waits
            self.failure = failure

    def work(self):
        victims = [Victim(self.server) for _ in range(VICTIMS)]
        if self.interval is not None:
            self.strike_at(time.monotonic() + self.interval, True)
        while not self.stopped.is_set():
            for victim in victims:
                victim.send()
            if self.next_strike is not None and time.monotonic() >= self.next_strike[0]:
                self.strike(victims)
            for number, victim in enumerate(victims):
                try:
                    victim.receive()
                except (EOFError, ConnectionError):
                    if victim.pid not in self.kills:
                        raise RuntimeError("a victim that was not killed lost its connection")
                    victims[number] = Victim(self.server)
            self.stopped.wait(0.005)

    def strike(self, victims):
        when, deadly = self.next_strike
        self.next_strike = None if self.interval is None else (when + self.interval, True)
        # One may have answered its whole batch before it died of the strike before this.
        victim = random.choice([victim for victim in victims if victim.pid not in self.kills])
        deadline = time.monotonic() + random.random() * 0.0005  # somewhere in its batch
        while time.monotonic() < deadline:
            pass
        if not deadly:
            return
        self.kills[victim.pid] = monotonic_us()
        os.kill(victim.pid, signal.SIGKILL)


# -- The others.


class Others(threading.Thread):
    """redis-benchmark again and again until stopped; its rows of figures."""

    def __init__(self, server, count):
        super().__init__()
        self.server = server
        self.count = count
        self.rows = []
        self.failure = None
        self.stopped = threading.Event()

    def run(self):
        try:
            while not self.stopped.is_set():
                self.rows.append(self.server.benchmark("set", OTHERS, 1, keys=KEYS,
                                                       count=self.count))
        except Exception as failure:  # one of its clients was disconnected
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()
        if self.failure is not None:
            raise self.failure


# -- A thousand deaths.


@dataclasses.dataclass
class Death:
    free_us: int  # from the kill until its last lwlock was free
    reap_us: int  # of this, until the postmaster knew
    held: bool  # an lwlock, or was changing pages
    waiters: int
    longest_wait_us: int


@dataclasses.dataclass
class ManyDeaths:
    deaths: list
    with_kills: list  # redis-benchmark's rows
    control: list


def incidents(server):
    """By pid. As redis-cli prints them: one line for each name and value."""
    wanted = ("pid", "reaped_us", "lwlocks_free_us", "lwlock_count", "change", "lwlock_waiters",
              "longest_lwlock_wait_us", "outcome")
    found, current = {}, {}
    lines = iter(server.command_line("INCIDENTS", KEPT_INCIDENTS).split("\n"))
    for name in lines:
        if name == "id":
            current = {}
        if name in wanted and name not in current:
            current[name] = next(lines)
            if name == "pid":
                found[int(current["pid"])] = current
    return found


def collect(server, kills, deaths):
    """Waits for the incidents of all kills."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while kills:
        known = incidents(server)
        for pid in [pid for pid in kills if known.get(pid, {}).get("outcome") == "repaired in place"]:
            incident, killed_us = known[pid], kills.pop(pid)
            reap_us = int(incident["reaped_us"]) - killed_us
            deaths.append(Death(
                free_us=reap_us + int(incident["lwlocks_free_us"]), reap_us=reap_us,
                held=int(incident["lwlock_count"]) > 0 or incident["change"] != "none",
                waiters=int(incident["lwlock_waiters"]),
                longest_wait_us=int(incident["longest_lwlock_wait_us"])))
        if kills and time.monotonic() > deadline:
            raise RuntimeError(f"{len(kills)} deaths have no incident")


def many_deaths(server, effort):
    deaths = []
    rows = {True: [], False: []}
    batches = -(-effort.deaths // 100)
    for batch in range(batches):
        wanted = min(100, effort.deaths - 100 * batch)
        interval = 0.02
        for with_kills in (False, True):
            with Others(server, 20_000) as others, \
                    Victims(server, interval if with_kills else None) as victims:
                begin = time.monotonic()
                while len(victims.kills) < wanted if with_kills \
                        else time.monotonic() - begin < wanted * interval:
                    if victims.failure or others.failure:
                        break
                    time.sleep(interval)
            rows[with_kills] += others.rows
            collect(server, victims.kills, deaths)
        print(f"{len(deaths)} deaths", flush=True)
    return ManyDeaths(deaths, rows[True], rows[False])


# -- One death, from outside: the same for both servers.


@dataclasses.dataclass
class Outage:
    milliseconds: list  # from the signal until a new connection's command succeeded
    disconnected: list  # of OTHERS
    others: int = OTHERS


def backend_pids(server):
    if isinstance(server, servers.Postgres):
        listed = servers.run(["psql", *server.target(), "-qtA", "-c",
                              "SELECT pid FROM pg_stat_activity WHERE backend_type = "
                              "'client backend' AND pid <> pg_backend_pid()"])
        return set(map(int, listed.split()))
    return set(map(int, re.findall(r"\bpid=(\d+)", server.command_line("CLIENT", "LIST"))))


def is_open(connection):
    connection.settimeout(0.01)
    try:
        while connection.recv(4096):  # last words
            pass
        return False
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def first_lasting_connection(server, deadline):
    """When it was there. One that is answered before the server knows of the death ends with the others."""
    while True:
        try:
            with server.open_connection() as connection:
                there = time.monotonic()
                if all(is_open(connection) for _ in range(5)):
                    return there
        except (OSError, EOFError):
            time.sleep(0.001)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} did not come back")


def outage(server, kill_signal):
    """(milliseconds, how many of OTHERS were disconnected)"""
    with contextlib.ExitStack() as cleanup:
        def connect():
            connection = server.open_connection()
            cleanup.callback(connection.close)
            return connection
        others = [connect() for _ in range(OTHERS)]
        before = backend_pids(server)
        victim = connect()
        (pid,) = backend_pids(server) - before if not isinstance(server, servers.Warren) \
            else victims_pid(server, victim)
        began = time.monotonic()
        os.kill(pid, kill_signal)
        deadline = began + PATIENCE_SECONDS
        while is_open(victim):  # dead for good; its end is what its own client sees
            if time.monotonic() > deadline:
                raise RuntimeError(f"{server.name}: the victim lives")
        milliseconds = (first_lasting_connection(server, deadline) - began) * 1000
        time.sleep(0.5)  # until whoever has to go has gone
        return milliseconds, sum(not is_open(other) for other in others)


def victims_pid(server, victim):
    victim.sendall(b"CLIENT INFO\r\n")
    return {int(re.search(rb"\bpid=(\d+)", victim.recv(4096))[1])}


def outages(server, kill_signal, count, changes):
    results = []
    for _ in range(count):
        server.checkpoint()
        server.change(OTHERS, changes)
        results.append(outage(server, kill_signal))
        print(f"{server.name}, {kill_signal.name}: {results[-1][0]:.1f} ms, {results[-1][1]} of "
              f"{OTHERS} others disconnected", flush=True)
    return Outage([result[0] for result in results], [result[1] for result in results])


def kills(server, effort):
    return outages(server, signal.SIGKILL, effort.kills, effort.changes)


def wild_deaths(server, effort):
    return outages(server, signal.SIGSEGV, effort.wild_deaths, effort.changes)


def require_sound(server):
    report = server.command_line("CHECK").split("\n")
    if report[:2] != ["faults", ""]:
        raise RuntimeError(f"CHECK: {report}")


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def median(values):
    return statistics.median(values) if values else float("nan")

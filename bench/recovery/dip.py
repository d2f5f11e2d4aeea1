"""What does one death a second take from the throughput?

The load goes on without a break; its rate is read from the server's own counter of commands and its own
clock at the ends of slices. Slices with a death and slices without one are neighbours and take turns in
being the first: none, one; one, none; none, one; and so on. So every other pair of neighbours is of the
same kind, and shows what noise alone makes.
"""

import contextlib
import dataclasses
import math
import random
import re
import socket
import statistics
import subprocess
import time

import measurements

SLICE_SECONDS = 1
WARM_UP_SECONDS = 2
ENDLESS = 2_000_000_000  # requests


@dataclasses.dataclass
class Pairs:
    """Of rates: (what is compared with, what is compared)."""
    rates: list

    def dips(self):
        return [1 - other / reference for reference, other in self.rates]

    def median(self):
        return measurements.median(self.dips())

    def interval(self):
        return median_interval(self.dips())

    def together(self):
        """Of all slices: what is rare has its share in this one only."""
        return 1 - sum(other for _, other in self.rates) / sum(rate for rate, _ in self.rates)


@dataclasses.dataclass
class Dip:
    deaths: Pairs  # one death compared with none
    noise: Pairs  # like compared with like


def median_interval(values, confidence=0.95):
    """Of the median of what these were drawn from, whatever its distribution: each value is below that
    median with probability 1/2, so how many are is binomial."""
    ordered = sorted(values)
    count = len(ordered)
    below, skipped = 0.0, 0
    while skipped < count // 2:
        below += math.comb(count, skipped) / 2**count
        if below > (1 - confidence) / 2:
            break
        skipped += 1
    first = max(skipped - 1, 0)
    return ordered[first], ordered[count - 1 - first]


class Counter:
    """The server's commands so far, and its clock in seconds."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port),
                                               timeout=measurements.PATIENCE_SECONDS)
        self.answers = self.socket.makefile("rb")

    def read(self):
        self.socket.sendall(b"INFO\r\n")
        text = self.answers.read(int(self.answers.readline()[1:]) + 2)
        commands, microseconds = (int(re.search(rb"^%s:(\d+)" % name, text, re.M)[1]) for name in
                                  (b"total_commands_processed", b"server_time_usec"))
        return commands, microseconds / 1e6


@contextlib.contextmanager
def steady_load(server):
    load = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *server.benchmark_words(
            "set", measurements.OTHERS, 1, measurements.KEYS, ENDLESS)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP_SECONDS)
        yield load
    finally:
        load.kill()
        load.wait()


def slice_rates(server, effort):
    """[(with a death, commands per second)], one after the other."""
    rates = []
    with steady_load(server) as load, measurements.Victims(server, None) as victims:
        counter = Counter(server)
        before = counter.read()
        for number in range(2 * effort.pairs):
            deadly = number % 4 in (1, 2)
            begin = time.monotonic()
            # Not near the ends: what a death costs is in its own slice.
            victims.strike_at(begin + random.uniform(0.2, 0.6) * SLICE_SECONDS, deadly)
            time.sleep(SLICE_SECONDS)
            after = counter.read()
            rates.append((deadly, (after[0] - before[0]) / (after[1] - before[1])))
            before = after
            if load.poll() is not None or victims.failure:
                raise victims.failure or RuntimeError("one of the others lost its connection")
    if len(victims.kills) != effort.pairs:
        raise RuntimeError(f"{len(victims.kills)} deaths in {effort.pairs} slices")
    measurements.collect(server, victims.kills, [])
    return rates


def one_death_a_second(server, effort):
    rates = slice_rates(server, effort)
    deaths, noise = [], []
    for first, second in zip(rates, rates[1:]):
        if first[0] != second[0]:
            continue
        pair = (first[1], second[1])
        # They take turns, too, so that a drift shows in neither.
        noise.append(pair if len(noise) // 2 % 2 == 0 else pair[::-1])
    for first, second in zip(rates[0::2], rates[1::2]):
        deaths.append((second[1], first[1]) if first[0] else (first[1], second[1]))
    dip = Dip(Pairs(deaths), Pairs(noise))
    print(f"one death a second: {statistics.median(rate for rate, _ in deaths):,.0f} commands a second "
          f"without, dip {dip.deaths.median():.2%}, by noise alone {dip.noise.median():.2%}", flush=True)
    return dip

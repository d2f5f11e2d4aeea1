"""What does one death a second take from the throughput?

The load goes on without a break; its rate is read from the server's own counter of commands and its own
clock four times a second. Each second, at the beginning of its third quarter, one of the victims is killed,
or none: none, one, one, none, and so on. The quarter of the death is compared with the one before it: so
near that the machine's moods change little between them. What is lost in a quarter is four times what is
lost in its second. The seconds without a death show what noise alone makes.
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

QUARTERS = 4  # of a second
DEADLY_QUARTER = 2
WARM_UP_SECONDS = 2
ENDLESS = 2_000_000_000  # requests


@dataclasses.dataclass
class Pairs:
    """Of rates of neighbouring quarters: (before the moment of the death, from it on). The dips are those
    of a whole second."""
    rates: list

    def dips(self):
        return [(1 - other / reference) / QUARTERS for reference, other in self.rates]

    def median(self):
        return measurements.median(self.dips())

    def interval(self):
        return median_interval(self.dips())

    def together(self):
        """Of all quarters: what is rare has its share in this one only."""
        references, others = map(sum, zip(*self.rates))
        return (1 - others / references) / QUARTERS


@dataclasses.dataclass
class Dip:
    deaths: Pairs  # of the seconds with a death
    noise: Pairs  # of those without


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


def quarter_rates(server, effort):
    """[(with a death, commands per second of each quarter)], one after the other."""
    seconds = []
    with steady_load(server) as load, measurements.Victims(server, None) as victims:
        counter = Counter(server)
        before = counter.read()
        due = time.monotonic()
        for number in range(2 * effort.pairs):
            deadly = number % 4 in (1, 2)
            rates = []
            for quarter in range(QUARTERS):
                if quarter == DEADLY_QUARTER:
                    # Soon, so that what it costs is in this quarter.
                    victims.strike_at(time.monotonic() + random.uniform(0.005, 0.02), deadly)
                due += 1 / QUARTERS
                time.sleep(max(0, due - time.monotonic()))
                after = counter.read()
                rates.append((after[0] - before[0]) / (after[1] - before[1]))
                before = after
            seconds.append((deadly, rates))
            if load.poll() is not None or victims.failure:
                raise victims.failure or RuntimeError("one of the others lost its connection")
    if len(victims.kills) != effort.pairs:
        raise RuntimeError(f"{len(victims.kills)} deaths in {effort.pairs} seconds")
    measurements.collect(server, victims.kills, [])
    return seconds


def one_death_a_second(server, effort):
    seconds = quarter_rates(server, effort)
    pairs = {deadly: Pairs([tuple(rates[DEADLY_QUARTER - 1:DEADLY_QUARTER + 1])
                            for kind, rates in seconds if kind == deadly]) for deadly in (True, False)}
    dip = Dip(pairs[True], pairs[False])
    print(f"one death a second: {statistics.median(rate for rate, _ in dip.deaths.rates):,.0f} commands a "
          f"second before it, dip {dip.deaths.median():.2%}, by noise alone {dip.noise.median():.2%}",
          flush=True)
    return dip

#!/usr/bin/env python3
"""How does Warren stand beside its peers, measured side by side in one run?

All servers run at once and idle while another is measured; the rounds alternate between them, so that
a noisy minute of the machine hits all. `./dev bench compare` builds and installs what this needs.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import sys
import tempfile
import time

import figures
import locks
import memcached
import report
import servers


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, fewer figures")
    parser.add_argument("--rounds", type=int, help="default 3, quick 1")
    parser.add_argument("--goals", action="store_true", help="only figures that a goal is about")
    parser.add_argument("--only", metavar="PATTERN", help="figures whose name matches")
    parser.add_argument("--output", type=pathlib.Path,
                        default=servers.ROOT / "bench/results/latest.md")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 1 if arguments.quick else 3
    return arguments


def chosen_figures(arguments):
    pattern = re.compile(arguments.only or "", re.I)
    in_goals = {name for goal in figures.GOALS for name in (goal.figure, goal.theirs_figure)}
    return [figure for figure in figures.FIGURES
            if pattern.search(figure.name) and (figure.quick or not arguments.quick)
            and (figure.name in in_goals or not arguments.goals)]


def measure(running, chosen, rounds):
    samples = collections.defaultdict(list)
    for current in range(rounds):
        for figure in chosen:
            print(f"round {current + 1}/{rounds}  {figure.name:<42}", end="", flush=True)
            for server in running:
                if server.name not in figure.servers:
                    continue
                server.round = current
                try:
                    value = figure.measure(server)
                except Exception as failure:  # one figure of one server; the others stand
                    print(f"  {server.name} FAILED ({failure})", end="", flush=True)
                    value = None
                else:
                    print(f"  {server.name} {value:,.0f}", end="", flush=True)
                samples[figure.name, server.name].append(value)
            print()
    return samples


def main():
    arguments = parse_arguments()
    load_before = os.getloadavg()[0]
    started = time.monotonic()
    # A thousand clients need as many descriptors, in the load generators too.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # So that the clean-up below runs for every way of being ended but SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))

    with contextlib.ExitStack() as cleanup:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="warren-bench-"))
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)  # PostgreSQL runs as another user
        effort = servers.Effort(arguments.quick)
        chosen = chosen_figures(arguments)
        running = []
        for kind in (*servers.ALL, memcached.Memcached, locks.Pthread):
            if not any(kind.name in figure.servers for figure in chosen):
                continue
            server = kind(directory / kind.name.replace(" ", "-"), effort)
            cleanup.callback(server.stop)
            server.start()
            running.append(server)
        samples = measure(running, chosen, arguments.rounds)
        page = report.write(samples, running, arguments.rounds, load_before, servers.ROOT)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(page)
    print(f"\n{page}\nwritten to {arguments.output} after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What does the death of a backend cost the others, beside PostgreSQL?

Warren and PostgreSQL with the same data; see bench/README.md, "Recovery". `./dev bench recovery` builds
and installs what this needs.
"""

import argparse
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "compare"))

import dip  # noqa: E402
import measurements  # noqa: E402
import page  # noqa: E402
import servers  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench recovery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the deaths")
    parser.add_argument("--deaths", type=int, help="default 1000, quick 50")
    parser.add_argument("--output", type=pathlib.Path,
                        help="default bench/results/recovery.md; quick: printed only")
    arguments = parser.parse_args()
    arguments.deaths = arguments.deaths or (50 if arguments.quick else 1000)
    if arguments.output is None and not arguments.quick:
        arguments.output = servers.ROOT / "bench/results/recovery.md"
    return arguments


class Warren(servers.Warren):
    # The deaths of this run have a cause that is understood.
    extra = ("--crash_breaker_deaths", 0)


def main():
    arguments = parse_arguments()
    load_before = os.getloadavg()[0]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    with contextlib.ExitStack() as cleanup:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="warren-recovery-"))
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)  # PostgreSQL runs as another user
        running = []
        for kind in (Warren, servers.Postgres):
            server = kind(directory / kind.name, servers.Effort(arguments.quick))
            cleanup.callback(server.stop)
            server.start()
            running.append(server)
        warren, postgres = running
        effort = measurements.Effort(arguments.deaths, arguments.quick)
        started = time.monotonic()
        results = measurements.Results(
            deaths=measurements.many_deaths(warren, effort),
            dip=dip.one_death_a_second(warren, effort),
            killed={server.name: measurements.kills(server, effort) for server in running},
            wild={server.name: measurements.wild_deaths(server, effort) for server in running},
            changes=effort.changes)
        measurements.require_sound(warren)
        text = page.write(results, running, load_before)
    if arguments.output is not None:
        arguments.output.write_text(text)
    print(f"\n{text}\nafter {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

"""What is measured on a server of its own, started for it with other settings or much data?

Each function takes a server of the comparison as the kind to start; the new one has its own directory
and port and is gone at the end.
"""

import contextlib
import shutil
import signal
import time

import kv
import servers

LARGE_KEYS = 300_000  # of 1 KiB: about ten times SMALL_CACHE_MB
LARGE_VALUE = 1024
SMALL_CACHE_MB = 32
ZIPF = 1.1


@contextlib.contextmanager
def own(server, **changed):
    """A further server of this kind with changed attributes, as start() leaves it."""
    kind = type(server.name, (type(server),), changed)
    another = kind(server.directory / f"own-{time.monotonic_ns()}", server.effort)
    try:
        another.start()
        yield another
    finally:
        another.stop()
        shutil.rmtree(another.directory, ignore_errors=True)


def small_cache(server):
    """Zipf-distributed reads per second, 50 clients, of data ten times larger than the cache."""
    if server.name == "PostgreSQL":
        with own(server, shared_buffers=f"{SMALL_CACHE_MB}MB") as small:
            small.query("CREATE TABLE large (id int PRIMARY KEY, value text NOT NULL)",
                        f"INSERT INTO large SELECT n, repeat('v', {LARGE_VALUE}) "
                        f"FROM generate_series(1, {LARGE_KEYS}) n", "VACUUM ANALYZE large")
            (small.directory / "zipf.sql").write_text(
                rf"\set id random_zipfian(1, {LARGE_KEYS}, {ZIPF})"
                "\nSELECT value FROM large WHERE id = :id;\n")
            return small.pgbench("zipf", 50, "-j", "1", "-T", str(2 * small.effort.seconds))
    with own(server, extra=("--shared_buffers", f"{SMALL_CACHE_MB}mb")) as small:
        kv.load(small, LARGE_KEYS, LARGE_VALUE)
        return kv.run(small, "get", 50, value_bytes=LARGE_VALUE, keys=LARGE_KEYS, zipf=ZIPF).rate


def grown(server, operation, keys):
    """Requests per second, 50 clients, pipelining 16, of a server that holds so many keys."""
    cache_mb = max(256, keys * 300 // 2**20)  # room for all of them
    extra = ("--shared_buffers", f"{cache_mb}mb") if server.name == "Warren" else ()
    memo = (server.round, "grown", keys)
    if memo not in server.runs:
        with own(server, extra=extra, key_count=0) as large:
            kv.load(large, keys)
            server.runs[memo] = {each: kv.run(large, each, 50, 16, keys=keys).rate
                                 for each in ("get", "set")}
    return server.runs[memo][operation]


def restart_ms(server, crash):
    """From the start of the program to its first reply, with 100,000 keys changed about five times
    each: after an orderly stop, or after kill -9 of the server under load (PostgreSQL: SIGQUIT, since
    kill -9 of its postmaster leaves processes that keep the next one from starting)."""
    with own(server, **({"extra": ("--appendonly", "yes")} if server.name == "Redis" else {})) as one:
        one.rate("set", 50, 1 if server.name == "PostgreSQL" else 16)
        if crash:
            one.stop_signal = signal.SIGQUIT if server.name == "PostgreSQL" else signal.SIGKILL
        one.stop()
        one.stop_signal = type(one).stop_signal
        begin = time.monotonic()
        one.launch()
        one.wait_until_ready(poll_seconds=0.001)
        return (time.monotonic() - begin) * 1000

"""Which further figures make the whole matrix: clients x pipelining x size, and what needs servers of
its own? figures.py lists them all."""

import kv
import own_servers

KV = ("Warren", "Redis", "memcached")
CPU = "CPU microseconds of a {}, 50 clients"
GROWN = "{}, {:,} keys"
SMALL_CACHE = "zipf reads per second, data 10 x the cache, 50 clients"
UNIX = "{}, 1 client, Unix socket"
MANY_KEYS = "{} of 100 keys, 50 clients"


def cpu_us(server, operation):
    if server.name in KV:
        return kv.run(server, operation, 50).cpu_us
    return server.cpu_us_per_request(operation, 50)


def name(operation, clients, pipeline):
    return f"{operation.upper()}, {clients:,} clients, pipelining {pipeline}, one load program"


def rows(figure):
    """`figure` makes a row of figures.py."""
    for pipeline in (1, 16, 100):
        for operation in ("get", "set"):
            for clients in (1, 10, 50, 200, 1000):
                yield from load_rows(figure, operation, clients, pipeline)
    for operation in ("get", "set"):
        for size in (64, 2**10, 2**14, 2**20):
            yield figure("Size of values: requests per second, 50 clients, one load program",
                         f"{operation.upper()}, {size:,} bytes", KV,
                         lambda server, load=(operation, size): kv.value_rate(server, *load), False)
    for operation in ("get", "set"):
        yield figure("Processor time of the server", CPU.format(operation.upper()),
                     ("Warren", "Redis", "PostgreSQL", "memcached"),
                     lambda server, operation=operation: cpu_us(server, operation), False)
        yield figure("Unix socket", UNIX.format(operation.upper()), ("Warren", "Redis"),
                     lambda server, operation=operation: server.unix_rate(operation, 1))
    for operation in ("mget", "mset"):
        yield figure("Many keys in one command", MANY_KEYS.format(operation.upper()),
                     ("Warren", "Redis"),
                     lambda server, operation=operation: server.many_keys_rate(operation))
    yield from own_server_rows(figure)


def load_rows(figure, operation, clients, pipeline):
    section = "Requests per second, {}: one load program for all"
    load = (operation, clients, pipeline)
    yield figure(section.format(f"pipelining {pipeline}" if pipeline > 1 else "no pipelining"),
                 name(*load), KV, lambda server: kv.run(server, *load).rate,
                 quick=clients == 50 and pipeline <= 16)
    if pipeline == 1:
        for part in ("p50", "p99"):
            yield figure("Latency, microseconds: of the same runs",
                         f"{part} of {operation.upper()}, {clients:,} clients", KV,
                         lambda server, part=part: getattr(kv.run(server, *load), f"{part}_us"),
                         quick=clients == 50)


def own_server_rows(figure):
    yield figure("Data larger than the cache", SMALL_CACHE, ("Warren", "PostgreSQL"),
                 own_servers.small_cache, False)
    for keys in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        for operation in ("get", "set"):
            yield figure("Growth: requests per second, 50 clients, pipelining 16",
                         GROWN.format(operation.upper(), keys), ("Warren", "Redis"),
                         lambda server, load=(operation, keys): own_servers.grown(server, *load), False)
    for what, crash in (("an orderly stop", False), ("a crash", True)):
        yield figure("Start", f"first reply after {what}, ms", ("Warren", "Redis", "PostgreSQL"),
                     lambda server, crash=crash: own_servers.restart_ms(server, crash), False)

"""What does one load program find that speaks to Warren, Redis and memcached alike?

redis-benchmark speaks to two of them only, and takes more of the processor than some servers do.
"""

import collections

import servers

Run = collections.namedtuple("Run", "rate p50_us p99_us cpu_us")  # cpu_us: for one request


def run(server, operation, clients, pipeline=1, value_bytes=len(servers.VALUE),
        keys=servers.KEY_COUNT, count=None, zipf=0):
    """One run; those with the same arguments in one round are one."""
    count = count or server.effort.request_count(clients, pipeline)
    what = (server.round, operation, clients, pipeline, value_bytes, keys, count, zipf)
    if what not in server.runs:
        cpu_before = server.cpu_seconds()
        rate, p50_us, p99_us = start(server, operation, clients, pipeline, value_bytes, keys, count,
                                     zipf)
        cpu_us = (server.cpu_seconds() - cpu_before) / count * 1e6
        server.runs[what] = Run(rate, p50_us, p99_us, cpu_us)
    return server.runs[what]


def start(server, operation, *numbers):
    """What kv_load.cpp prints."""
    printed = servers.run([servers.BUILD / "bench/kv_load", server.protocol, server.port, operation,
                           *numbers])
    return map(float, printed.split())


def load(server, keys, value_bytes=len(servers.VALUE)):
    """Sets each of `keys` keys once."""
    pipeline = max(1, min(100, 2**20 // value_bytes))
    start(server, "load", 8, pipeline, value_bytes, keys, 0)


def value_rate(server, operation, value_bytes):
    """Requests per second with values of that size, 50 clients, as many keys as fit into 128 MiB."""
    keys = min(servers.KEY_COUNT, 2**27 // value_bytes)
    # About as many bytes for all sizes, and enough requests for each client.
    count = max(2_000, min(server.effort.requests, 2**31 // value_bytes))
    load(server, keys, value_bytes)
    try:
        return run(server, operation, 50, value_bytes=value_bytes, keys=keys, count=count).rate
    finally:
        load(server, keys)  # as the other figures expect them

"""What is measured, and what is it held against?

To add a figure: one row here; a method in servers.py if it is a new kind of load.
"""

import dataclasses
import typing

import locks
import matrix
import servers

RESP = ("Warren", "Redis", "ceiling", "event loop")
EVERY = ("Warren", "no log", "no look", "Redis", "memcached", "PostgreSQL", "ceiling", "event loop",
         *(way.name for way in servers.WAYS_TO_WAIT), "pthread")
VALUE_TEXT = "v" * 64
SQL_TOO = ("Warren", "Redis", "PostgreSQL", "ceiling", "event loop")
MEMORY = ("Warren", "Redis", "memcached", "PostgreSQL", "ceiling")


@dataclasses.dataclass(frozen=True)
class Figure:
    section: str
    name: str
    servers: tuple
    measure: typing.Callable  # of a server
    quick: bool = True        # part of the quick run
    against: str = ""         # all are divided by that one; else Warren by the others


@dataclasses.dataclass(frozen=True)
class Goal:
    """`ours` of one figure, divided by `theirs` or by ours of `theirs_figure` if there is one."""
    text: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    ours: str = "Warren"
    theirs: str | None = None
    theirs_figure: str | None = None  # ours of another figure


def rate_name(operation, clients, pipeline):
    plural = "client" if clients == 1 else "clients"
    return f"{operation.upper()}, {clients:,} {plural}" + (
        f", pipelining {pipeline}" if pipeline > 1 else "")


def rate_figures():
    for pipeline in (1, 16):
        for operation in ("get", "set"):
            for clients in (1, 10, 50, 200, 1000):
                yield Figure(
                    "Requests per second, no pipelining" if pipeline == 1
                    else f"Requests per second, pipelining {pipeline}",
                    rate_name(operation, clients, pipeline),
                    SQL_TOO if pipeline == 1 else RESP,
                    lambda server, load=(operation, clients, pipeline): server.rate(*load),
                    quick=clients in (1, 50))


def durable_name(clients, pipeline):
    return "durable " + rate_name("set", clients, pipeline)


def durable_figures():
    for clients, pipeline in ((1, 1), (50, 1), (200, 1), (50, 16)):
        yield Figure("Changes per second, on disk when acknowledged", durable_name(clients, pipeline),
                     ("Warren", "Redis", "PostgreSQL") if pipeline == 1 else ("Warren", "Redis"),
                     lambda server, load=(clients, pipeline): server.durable_rate(*load))


def logged_name(pipeline):
    return "logged " + rate_name("set", 50, pipeline)


LOG_BYTES = "Bytes of log of a SET"
REDO = "Redo, MB of log per second"
P99 = "p99 of durable SET, microseconds, {}"

TRANSFER = "{}transfers per second, 20 clients"
LOCK = "LOCK and UNLOCK, round trips per second, 20 clients"
SET_LIKE_LOCK = "SET, round trips per second, 20 clients"
LOCKS_HELD = (1_000, 10_000, 100_000)
LOCK_COST = "a lock taken and given back, {:,} held, ns"
RELEASE_COST = "of that giving it back, {:,} held, ns"
INSTRUCTIONS = "instructions of a {}"


def transaction_figures():
    section = "Transactions: BEGIN, two reads for update, two writes, COMMIT"
    yield Figure(section, TRANSFER.format(""), ("Warren", "PostgreSQL"),
                 lambda server: server.transfer_rate(20))
    yield Figure(section, TRANSFER.format("durable "), ("Warren", "PostgreSQL"),
                 lambda server: server.durable_transfer_rate(20))
    section = "Locks"
    for name, script in ((LOCK, "lock"), (SET_LIKE_LOCK, "set")):
        yield Figure(section, name, ("Warren",),
                     lambda server, script=script: server.script_rate(script, 20))
    for name, cost in ((LOCK_COST, sum), (RELEASE_COST, lambda costs: costs[1])):
        for held in LOCKS_HELD:
            yield Figure(section, name.format(held), ("Warren",),
                         lambda server, cost=cost, held=held: cost(server.lock_cost_ns(held)))
    section = "What the look for locks costs: user instructions per command, and no look at all"
    for command in (("GET", "key:000000000001"), ("SET", "key:000000000001", VALUE_TEXT)):
        yield Figure(section, INSTRUCTIONS.format(command[0]), ("Warren", "no look"),
                     lambda server, command=command: server.instructions(*command))


WAYS = ("Warren", "Redis", "ceiling", *(way.name for way in servers.WAYS_TO_WAIT))


def waiting_figures():
    for clients in (200, 1000):
        for name, read in ((f"GET, {clients:,} clients, in turn", lambda row: row["rps"]),
                           (f"p99 of GET, microseconds, {clients:,} clients, in turn",
                            lambda row: 1000 * row["p99_latency_ms"])):
            yield Figure("Ways to wait: constant answers from a process per client", name, WAYS,
                         lambda server, clients=clients, read=read: read(server.crowd(clients)),
                         quick=False, against="Redis")


CONNECTIONS = "New connections per second, {} at a time"
IDLE = "Private memory of an idle connection, KiB"

FIGURES = (
    *rate_figures(),
    *waiting_figures(),
    *(Figure("Connections", CONNECTIONS.format(clients), SQL_TOO,
             lambda server, clients=clients: server.connection_rate(clients))
      for clients in (1, 8)),
    *durable_figures(),
    *(Figure("What the log costs: synchronous_commit off, and no log at all", logged_name(pipeline),
             ("Warren", "no log"), lambda server, pipeline=pipeline: server.rate("set", 50, pipeline))
      for pipeline in (1, 16)),
    *transaction_figures(),
    Figure("The log", LOG_BYTES, ("Warren",), lambda server: server.log_bytes_per_set()),
    Figure("The log", REDO, ("Warren",), lambda server: server.redo_mb_per_second()),
    *(Figure("Checkpoints", P99.format(what), ("Warren",),
             lambda server, during=during: 1000 * server.set_p99_ms(during))
      for what, during in (("no checkpoint", False), ("during one", True))),
    Figure("Connections", IDLE, MEMORY,
           lambda server: server.idle_connection_kib(1000)),
    *matrix.rows(Figure),
    *locks.rows(Figure),
)


def goals():
    yield Goal("the comparison is valid: ceiling at least 0.65 x Redis (GET)",
               rate_name("get", 50, 1), at_least=0.65, ours="ceiling", theirs="Redis")
    for operation in ("get", "set"):
        yield Goal(f"{operation.upper()} at least 0.9 x the ceiling of a process per client",
                   rate_name(operation, 50, 1), at_least=0.9, theirs="ceiling")
    yield Goal("GET at least 1.7 x PostgreSQL's SELECT by key", rate_name("get", 50, 1),
               at_least=1.7, theirs="PostgreSQL")
    for operation in ("get", "set"):
        plain = operation.upper()
        for clients, least in ((1, 2), (50, 0.9), (200, 0.95), (1000, 0.95)):
            yield Goal(f"{plain} at least {least} x Redis", rate_name(operation, clients, 1),
                       at_least=least, theirs="Redis")
        yield Goal(f"{plain} at least 2 x Redis", matrix.UNIX.format(plain), at_least=2,
                   theirs="Redis")
        yield Goal(f"{plain} at least 1.5 x Redis", rate_name(operation, 50, 16), at_least=1.5,
                   theirs="Redis")
        yield Goal("at least 1.0 x Redis", matrix.MANY_KEYS.format(f"M{plain}"), at_least=1,
                   theirs="Redis")
    yield Goal("at least PostgreSQL's rate", matrix.SMALL_CACHE, at_least=1, theirs="PostgreSQL")
    yield Goal("at most 1.5 times slower than with 10,000 keys",
               matrix.GROWN.format("GET", 10_000_000), at_least=1 / 1.5,
               theirs_figure=matrix.GROWN.format("GET", 10_000))
    yield Goal("at least 10 x PostgreSQL", CONNECTIONS.format(8), at_least=10, theirs="PostgreSQL")
    yield Goal("at most 1/5 of PostgreSQL's", IDLE, at_most=0.2, theirs="PostgreSQL")
    yield Goal("durable SET at least 3 x PostgreSQL's UPDATE by key", durable_name(50, 1),
               at_least=3, theirs="PostgreSQL")
    yield Goal("durable SET at least 0.85 x Redis, appendfsync always", durable_name(50, 1),
               at_least=0.85, theirs="Redis")
    yield Goal("durable SET at least 1.5 x Redis, appendfsync always", durable_name(50, 16),
               at_least=1.5, theirs="Redis")
    for pipeline in (1, 16):
        yield Goal("SET at least 0.8 x the same server without a log", logged_name(pipeline),
                   at_least=0.8, theirs="no log")
    yield Goal("at least 2 x PostgreSQL", TRANSFER.format(""), at_least=2, theirs="PostgreSQL")
    yield Goal("as fast as SET without durability", LOCK, at_least=1, theirs_figure=SET_LIKE_LOCK)
    # It does not grow but for what a larger table misses in the processor's caches.
    yield Goal("at most 1.5 x that of 1,000", LOCK_COST.format(100_000), at_most=1.5,
               theirs_figure=LOCK_COST.format(1_000))
    for command in ("GET", "SET"):
        yield Goal("at most 3 % more than without the look", INSTRUCTIONS.format(command),
                   at_most=1.03, theirs="no look")
    yield from locks.goals(Goal)
    yield Goal("under 200 bytes", LOG_BYTES, at_most=200)
    yield Goal("at least 200 MB/s", REDO, at_least=200)
    yield Goal("less than 3 x that without a checkpoint", P99.format("during one"), at_most=3,
               theirs_figure=P99.format("no checkpoint"))


GOALS = tuple(goals())

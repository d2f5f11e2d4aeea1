"""What is measured, and what is it held against?

To add a figure: one row here; a method in servers.py if it is a new kind of load.
"""

import dataclasses
import typing

RESP = ("Warren", "Redis", "ceiling", "event loop")
EVERY = ("Warren", "Redis", "PostgreSQL", "ceiling", "event loop")
PROCESS_PER_CLIENT = ("Warren", "PostgreSQL", "ceiling")


@dataclasses.dataclass(frozen=True)
class Figure:
    section: str
    name: str
    servers: tuple
    measure: typing.Callable  # of a server
    quick: bool = True        # part of the quick run


@dataclasses.dataclass(frozen=True)
class Goal:
    """`ours` divided by `theirs` (a constant if `theirs` is None) of one figure."""
    text: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    ours: str = "Warren"
    theirs: str | None = None


def rate_name(operation, clients, pipeline):
    plural = "client" if clients == 1 else "clients"
    return f"{operation.upper()}, {clients:,} {plural}" + (
        f", pipelining {pipeline}" if pipeline > 1 else "")


def rate_figures():
    for pipeline in (1, 16):
        for operation in ("get", "set"):
            for clients in (1, 50, 200, 1000):
                yield Figure(
                    "Requests per second, no pipelining" if pipeline == 1
                    else f"Requests per second, pipelining {pipeline}",
                    rate_name(operation, clients, pipeline),
                    EVERY if pipeline == 1 else RESP,
                    lambda server, load=(operation, clients, pipeline): server.rate(*load),
                    quick=clients <= 50)


CONNECTIONS = "New connections per second, {} at a time"
IDLE = "Private memory of an idle connection, KiB"

FIGURES = (
    *rate_figures(),
    *(Figure("Connections", CONNECTIONS.format(clients), EVERY,
             lambda server, clients=clients: server.connection_rate(clients))
      for clients in (1, 8)),
    Figure("Connections", IDLE, PROCESS_PER_CLIENT,
           lambda server: server.idle_connection_kib(1000)),
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
        yield Goal(f"{operation.upper()} at least 1.0 x Redis", rate_name(operation, 50, 16),
                   at_least=1.0, theirs="Redis")
    yield Goal("at least 5 x PostgreSQL", CONNECTIONS.format(8), at_least=5, theirs="PostgreSQL")
    yield Goal("under 400 KiB", IDLE, at_most=400)


GOALS = tuple(goals())

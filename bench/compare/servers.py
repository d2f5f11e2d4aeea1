"""Which servers are compared, how is each started fairly, and how is each put under load?

Every server listens on a free port of 127.0.0.1, keeps its files under a directory of its own, and
ends with this process, however this process ends (setpriv --pdeathsig). All have the same methods,
so that a figure (figures.py) need not know which server it measures.
"""

import contextlib
import csv
import glob
import io
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
BUILD_WITHOUT_LOG = ROOT / "build/without_log"  # ./dev bench makes these
BUILD_WITHOUT_LOOK = ROOT / "build/without_look"
ACCOUNTS = 10_000  # as in script_load.cpp
KEY_COUNT = 100_000
VALUE = b"v" * 64
START_SECONDS = 60
RUN_SECONDS = 180
CORES = len(os.sched_getaffinity(0))


class Effort:
    """How long to measure: a full run, or a quick look."""

    def __init__(self, quick):
        self.seconds = 2 if quick else 4
        self.requests = 100_000 if quick else 250_000

    def request_count(self, clients, pipeline):
        # About the same time for all: a lone client waits for the round trip, a pipelined batch
        # shares it.
        return self.requests * (4 if pipeline > 1 else 1) // (4 if clients == 1 else 1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_root():
    return os.geteuid() == 0


def run(command, **options):
    """The command's standard output; its errors become ours."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=RUN_SECONDS, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """One process tree under test."""

    name = ""
    stop_signal = signal.SIGTERM

    def __init__(self, directory, effort):
        self.directory = directory
        self.effort = effort
        self.port = free_port()
        self.process = None
        self.identity = {}  # of the process, if not ours
        self.round = 0
        self.runs = {}  # what was measured before (kv.py)

    def start(self):
        self.directory.mkdir(parents=True)
        self.prepare()
        self.launch()
        self.wait_until_ready()
        self.load_keys()

    def launch(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *map(str, self.command())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **self.identity)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def wait_until_ready(self, poll_seconds=0.05):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.open_connection().close()
                return
            except (OSError, EOFError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.directory / "log").read_text(errors="replace")
                    raise RuntimeError(f"{self.name} did not start:\n{log}") from None
                time.sleep(poll_seconds)

    def prepare(self):
        pass

    def load_keys(self):
        pass

    def durable_rate(self, clients, pipeline):
        """Changes per second that are on disk when they are acknowledged."""
        with self.durable():
            return self.rate("set", clients, pipeline)

    def durable_transfer_rate(self, clients):
        with self.durable():
            return self.transfer_rate(clients)

    def children(self):
        listed = subprocess.run(["pgrep", "--parent", str(self.process.pid)],
                                capture_output=True, text=True)
        return set(map(int, listed.stdout.split()))

    def cpu_seconds(self):
        """Of the server's processes, with those that have ended."""
        ticks = sum(cpu_ticks(pid) for pid in self.children())
        return (ticks + cpu_ticks(self.process.pid)) / os.sysconf("SC_CLK_TCK")

    def idle_connection_kib(self, clients):
        """Private memory (USS) of the process that serves a connection which ran one command: the
        median of `clients` connections held at once."""
        before = self.children()
        connections = [self.open_connection() for _ in range(clients)]
        backends = self.children() - before
        if len(backends) < clients:
            raise RuntimeError(f"{self.name}: {len(backends)} processes serve {clients} clients")
        median = statistics.median(map(private_kib, backends))
        for connection in connections:
            connection.close()
        self.wait_for_children(before)
        return median

    def wait_for_children(self, expected):
        deadline = time.monotonic() + START_SECONDS
        while self.children() - expected and time.monotonic() < deadline:
            time.sleep(0.05)


def private_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.M))


def cpu_ticks(pid):
    """User and system time of a process and its ended, reaped children; 0 if it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def shared_idle_connection_kib(server, clients):
    """What a connection adds to the private memory of the one process that serves all."""
    before = private_kib(server.process.pid)
    connections = [server.open_connection() for _ in range(clients)]
    after = private_kib(server.process.pid)
    for connection in connections:
        connection.close()
    return (after - before) / clients


class RespServer(Server):
    """A server that speaks the Redis protocol, loaded by redis-benchmark."""

    protocol = "resp"
    key_count = KEY_COUNT  # at the start

    def open_connection(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)
        connection.sendall(b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n")
        answer = connection.recv(4096)
        if not answer:
            raise EOFError
        if answer.startswith(b"-"):  # still loading, say
            raise OSError(answer.decode())
        return connection

    def load_keys(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=RUN_SECONDS) as connection:
            answers = connection.makefile("rb")
            for start in range(0, self.key_count, 100):
                keys = (b"key:%012d" % number for number in range(start, start + 100))
                connection.sendall(b"".join(
                    b"*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n$%d\r\n%s\r\n" % (key, len(VALUE), VALUE)
                    for key in keys))
                for _ in range(100):
                    answer = answers.readline()
                    if answer != b"+OK\r\n":
                        raise RuntimeError(f"{self.name}: SET answered {answer}")

    def rate(self, operation, clients, pipeline):
        """Requests per second of GET or SET."""
        return self.benchmark(operation, clients, pipeline)["rps"]

    def crowd(self, clients):
        """redis-benchmark's row for GET without pipelining, once in a round."""
        memo = (self.round, "crowd", clients)
        if memo not in self.runs:
            self.runs[memo] = self.benchmark("get", clients, 1)
        return self.runs[memo]

    def benchmark(self, operation, clients, pipeline, keys=KEY_COUNT, count=None):
        """redis-benchmark's row of figures."""
        count = count or self.effort.request_count(clients, pipeline)
        output = run(self.benchmark_words(operation, clients, pipeline, keys, count))
        row = next(csv.DictReader(io.StringIO(output[output.index('"test"'):])))
        return {name: float(value) for name, value in row.items() if name != "test"}

    def benchmark_words(self, operation, clients, pipeline, keys, count):
        return ["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "--csv",
                "-t", operation, "-d", str(len(VALUE)), "-r", str(keys),
                "-c", str(clients), "-P", str(pipeline), "-n", str(count)]

    def benchmark_command(self, *words, clients=50, options=()):
        """Requests per second of a command of redis-benchmark's kind."""
        output = run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "--csv", "-r",
                      str(KEY_COUNT), "-c", str(clients), *options, *words])
        return float(next(csv.DictReader(io.StringIO(output[output.index('"test"'):])))["rps"])

    def unix_rate(self, operation, clients):
        """Requests per second of GET or SET by way of the Unix socket."""
        return self.benchmark_command(
            "-s", str(self.socket_path()), "-t", operation, "-d", str(len(VALUE)), "-n",
            str(self.effort.request_count(clients, 1)), clients=clients)

    def socket_path(self):
        return self.directory / "socket"

    def many_keys_rate(self, operation):
        """Commands per second, each with 100 keys drawn at random."""
        key = "key:__rand_int__"
        words = [key] * 100 if operation == "mget" else [key, VALUE.decode()] * 100
        return self.benchmark_command("-n", str(self.effort.requests // 10), operation, *words)

    def command_line(self, *words):
        """What redis-cli prints for a command."""
        return run(["redis-cli", "-p", str(self.port), *map(str, words)]).strip()

    def connection_rate(self, clients):
        """Connections per second, one command included."""
        return float(run([BUILD / "bench/connect_rate", str(self.port), str(clients),
                          str(self.effort.seconds)]))


class Warren(RespServer):
    """Beside peers that do not sync, it does not wait for the log either; durable() makes it."""

    name = "Warren"
    stop_signal = signal.SIGINT
    program = BUILD / "warren"
    extra = ()

    def command(self):
        return [self.program, "serve", "--data_directory", self.directory / "data",
                "--bind", "127.0.0.1", "--port", self.port, "--max_connections", 1100,
                "--shared_buffers", "256mb", "--synchronous_commit", "off",
                "--unix_socket", self.socket_path(), *self.extra]

    def version(self):
        return run([self.program, "--version"]).strip() + ", synchronous_commit off"

    def checkpoint(self):
        if (reply := self.command_line("CHECKPOINT")) != "OK":
            raise RuntimeError(f"{self.name}: CHECKPOINT answered {reply}")

    def change(self, clients, count):
        """So many changes of keys drawn at random."""
        self.benchmark("set", clients, 1, count=count)

    @contextlib.contextmanager
    def durable(self):
        self.command_line("CONFIG", "SET", "synchronous_commit", "on")
        yield
        self.command_line("CONFIG", "SET", "synchronous_commit", "off")

    def transfer_rate(self, clients):
        """Transactions of two reads for update and two writes per second."""
        return self.script_rate("transfer", clients)

    def script_rate(self, script, clients):
        return float(run([BUILD / "bench/script_load", script, str(self.port), str(clients),
                          str(2 * self.effort.seconds)]))

    def lock_cost_ns(self, held):
        """[taking one more lock, giving one back], of a transaction that holds so many, on a server
        of its own with room for them."""
        class Roomy(Warren):
            extra = ("--max_locks", 150_000)
        roomy = Roomy(self.directory / f"locks-{time.monotonic_ns()}", self.effort)
        roomy.start()
        try:
            return list(map(float, run([BUILD / "bench/lock_growth", str(roomy.port),
                                        str(held)]).split()))
        finally:
            roomy.stop()
            shutil.rmtree(roomy.directory, ignore_errors=True)

    def instructions(self, *command):
        """Executed in user mode by a backend for one such command out of a batch."""
        return float(run([BUILD / "bench/instruction_count", str(self.port), *command]))

    def log_bytes_per_set(self):
        """Of the log, for a SET of an existing key whose page needs no image any more."""
        self.benchmark("set", 50, 16, count=4 * KEY_COUNT)  # each page's first change
        before = self.log_bytes()
        changes = self.effort.requests
        self.benchmark("set", 50, 16, count=changes)
        return (self.log_bytes() - before) / changes

    def log_bytes(self):
        return int(self.command_line("STATS", "wal_bytes").split()[-1])

    def redo_mb_per_second(self):
        """A server of its own is killed with much log behind its last checkpoint."""
        class Victim(Warren):
            extra = ("--max_wal_size", "16gb", "--checkpoint_timeout", "1d")
        victim = Victim(self.directory / f"redo-{time.monotonic_ns()}", self.effort)
        victim.start()
        try:
            victim.benchmark("set", 50, 16, count=8 * self.effort.requests)
            victim.stop_signal = signal.SIGQUIT
            victim.stop()
            with open(victim.directory / "log", "ab") as log:
                victim.process = subprocess.Popen(list(map(str, victim.command())), stdout=log,
                                                  stderr=log)
            victim.stop_signal = signal.SIGINT
            victim.wait_until_ready()
            done = re.findall(r"redo: (\d+) records from 0x([0-9a-f]+) to 0x([0-9a-f]+) in (\d+) ms",
                              (victim.directory / "log").read_text())[-1]
        finally:
            victim.stop()
            shutil.rmtree(victim.directory, ignore_errors=True)
        return (int(done[2], 16) - int(done[1], 16)) / 1e6 / (max(int(done[3]), 1) / 1e3)

    def set_p99_ms(self, checkpoints):
        """Of SET with 50 clients, durable; with `checkpoints`, one is always under way."""
        pace = "5s" if checkpoints else "1d"
        self.command_line("CONFIG", "SET", "checkpoint_timeout", pace)
        try:
            with self.durable():
                return self.benchmark("set", 50, 1, keys=10 * KEY_COUNT)["p99_latency_ms"]
        finally:
            self.command_line("CONFIG", "SET", "checkpoint_timeout", "5min")


class WithoutLog(Warren):
    """The same server whose log's records are neither copied nor hashed nor written (a build with
    -DWARREN_WITHOUT_LOG=ON): what the log costs."""

    name = "no log"
    program = BUILD_WITHOUT_LOG / "warren"


class WithoutLook(Warren):
    """The same server whose single-key commands don't look whether somebody has locked their key (a
    build with -DWARREN_WITHOUT_LOOK=ON): what transactions cost those who use none."""

    name = "no look"
    program = BUILD_WITHOUT_LOOK / "warren"


class Redis(RespServer):
    """Without persistence: no snapshots, no append-only file; durable() gives it one."""

    name = "Redis"
    extra = ()

    def command(self):
        return ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir",
                self.directory, "--save", "", "--appendonly", "no", "--appendfsync", "always",
                "--maxclients", 2000, "--unixsocket", self.socket_path(), *self.extra]

    def idle_connection_kib(self, clients):
        return shared_idle_connection_kib(self, clients)

    def version(self):
        return run(["redis-server", "--version"]).strip()

    @contextlib.contextmanager
    def durable(self):
        self.command_line("CONFIG", "SET", "appendonly", "yes")
        deadline = time.monotonic() + START_SECONDS
        while "aof_rewrite_in_progress:1" in self.command_line("INFO", "persistence"):
            if time.monotonic() > deadline:
                raise RuntimeError("Redis: the append-only file was not made in time")
            time.sleep(0.05)
        yield
        self.command_line("CONFIG", "SET", "appendonly", "no")


class Ceiling(RespServer):
    """Answers constants (ceiling_server.cpp), one process per connection."""

    name = "ceiling"
    mode = "fork"
    options = ()  # of the way to wait

    def command(self):
        return [BUILD / "bench/ceiling_server", self.mode, self.port, *self.options]

    def version(self):
        return " ".join(["bench/ceiling_server", self.mode, *self.options]) + ": constant answers"


class EventLoop(Ceiling):
    """The same in one process."""

    name = "event loop"
    mode = "epoll"


class Sleeping(Ceiling):
    """Its processes don't yield before they sleep."""

    name = "sleeping"
    options = ("--yields", "0")


class LongSlices(Ceiling):
    """A process that has the processor may keep it for as long as the kernel allows."""

    name = "long slices"
    options = ("--slice_ms", "100")


class Yielding(Ceiling):
    """Its processes let the client and the others go first."""

    name = "yielding"
    options = ("--yields", "2", "--nice", "19")


class YieldingLongSlices(Ceiling):
    """Both."""

    name = "yielding, long slices"
    options = ("--yields", "2", "--slice_ms", "100")


class OneProcessor(Ceiling):
    """One processor is the client's alone."""

    name = "one processor"
    options = ("--last_processor",)


WAYS_TO_WAIT = (Sleeping, LongSlices, Yielding, YieldingLongSlices, OneProcessor)


class Postgres(Server):
    """Everything cached, commits asynchronous, prepared statements, integer primary key."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT
    scripts = {
        "get": rf"\set id random(1, {KEY_COUNT})" + "\nSELECT value FROM kv WHERE id = :id;\n",
        "set": rf"\set id random(1, {KEY_COUNT})" + "\n"
               f"UPDATE kv SET value = '{VALUE.decode()}' WHERE id = :id;\n",
        "one": "SELECT 1;\n",
        # The lower account first, so that nobody waits in a circle.
        "transfer": rf"""\set a random(1, {ACCOUNTS})
\set b (:a + random(0, {ACCOUNTS - 2})) % {ACCOUNTS} + 1
\set first least(:a, :b)
\set second greatest(:a, :b)
\set amount random(1, 100)
BEGIN;
SELECT balance FROM accounts WHERE id = :first FOR UPDATE;
SELECT balance FROM accounts WHERE id = :second FOR UPDATE;
UPDATE accounts SET balance = balance - :amount WHERE id = :first;
UPDATE accounts SET balance = balance + :amount WHERE id = :second;
COMMIT;
""",
    }
    commit = "off"
    shared_buffers = "256MB"

    def __init__(self, directory, effort):
        super().__init__(directory, effort)
        self.programs = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        if is_root():  # it refuses to run as root
            account = pwd.getpwnam("postgres")
            self.identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def prepare(self):
        if self.identity:
            shutil.chown(self.directory, self.identity["user"])
        run([self.programs / "initdb", "--pgdata", self.directory / "data", "--username", "bench",
             "--auth", "trust", "--encoding", "UTF8", "--no-locale"],
            cwd=self.directory, **self.identity)
        for name, script in self.scripts.items():
            (self.directory / f"{name}.sql").write_text(script)

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port,
            "unix_socket_directories": self.directory, "max_connections": 1100,
            "shared_buffers": self.shared_buffers, "synchronous_commit": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self.programs / "postgres", "-D", self.directory / "data", *options]

    def version(self):
        return run([self.programs / "postgres", "--version"]).strip()

    def load_keys(self):
        run(["psql", *self.target(), "-q", "-c",
             "CREATE TABLE kv (id int PRIMARY KEY, value text NOT NULL)", "-c",
             f"INSERT INTO kv SELECT n, '{VALUE.decode()}' FROM generate_series(1, {KEY_COUNT}) n",
             "-c", "VACUUM ANALYZE kv",
             # Room in the pages for new versions of the rows, as PostgreSQL's manual advises.
             "-c", "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL) "
                   "WITH (fillfactor = 50)",
             "-c", f"INSERT INTO accounts SELECT n, 1000 FROM generate_series(1, {ACCOUNTS}) n",
             "-c", "VACUUM ANALYZE accounts"])

    def query(self, *statements):
        run(["psql", *self.target(), "-q", *(word for one in statements for word in ("-c", one))])

    def checkpoint(self):
        self.query("CHECKPOINT")

    def change(self, clients, count):
        """So many changes of rows drawn at random."""
        self.pgbench("set", clients, "-j", "1", "-t", str(count // clients))

    def cpu_us_per_request(self, operation, clients):
        """Of the server, in the run that rate() makes."""
        before = self.cpu_seconds()
        self.rate(operation, clients, 1)
        requests = self.effort.request_count(clients, 1) // 2 // clients * clients
        return (self.cpu_seconds() - before) / requests * 1e6

    def target(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", "postgres"]

    def open_connection(self):
        """Start-up packet, then one query, by hand: two round trips of a simple protocol."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)
        parameters = b"user\0bench\0database\0postgres\0\0"
        connection.sendall(struct.pack("!ii", len(parameters) + 8, 196608) + parameters)
        answers = connection.makefile("rb")
        wait_for_query_end(answers)
        query = b"SELECT 1\0"
        connection.sendall(b"Q" + struct.pack("!i", len(query) + 4) + query)
        wait_for_query_end(answers)
        return connection

    def rate(self, operation, clients, pipeline):
        assert pipeline == 1
        # A number, not a time: a time would begin before a thousand clients are connected.
        count = self.effort.request_count(clients, pipeline) // 2
        return self.pgbench(operation, clients, "-j", "1", "-t", str(count // clients))

    def transfer_rate(self, clients):
        rate = self.pgbench("transfer", clients, "-j", "1", "-T", str(2 * self.effort.seconds))
        total = run(["psql", *self.target(), "-qtA", "-c", "SELECT sum(balance) FROM accounts"])
        if int(total) != 1000 * ACCOUNTS:
            raise RuntimeError(f"PostgreSQL: the sum of all accounts is {total}")
        return rate

    @contextlib.contextmanager
    def durable(self):
        self.commit = "on"
        yield
        self.commit = "off"

    def connection_rate(self, clients):
        return self.pgbench("one", clients, "-C", "-j", str(clients),
                            "-T", str(self.effort.seconds))

    def pgbench(self, script, clients, *options):
        target = self.target()
        output = run(["pgbench", *target[:-2], "-n", "-M", "prepared", "-c", str(clients), *options,
                      "-f", self.directory / f"{script}.sql", target[-1]],
                     env={**os.environ, "PGOPTIONS": f"-c synchronous_commit={self.commit}"})
        return float(re.search(r"^tps = ([\d.]+)", output, re.M)[1])


def wait_for_query_end(answers):
    while True:
        head = answers.read(5)
        if len(head) < 5:
            raise EOFError
        kind, length = struct.unpack("!ci", head)
        body = answers.read(length - 4)
        if kind == b"E":
            raise OSError(body.decode(errors="replace"))
        if kind == b"Z":
            return


ALL = (Warren, WithoutLog, WithoutLook, Redis, Postgres, Ceiling, EventLoop, *WAYS_TO_WAIT)

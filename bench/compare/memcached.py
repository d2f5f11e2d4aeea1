"""memcached beside the others: a cache, without durability, transactions or types."""

import socket

import kv
import servers


class Memcached(servers.Server):
    name = "memcached"
    protocol = "memcached"

    def command(self):
        # As many threads as there are cores; room for all keys and for values of 1 MiB.
        return ["memcached", "-l", "127.0.0.1", "-p", self.port, "-U", 0, "-c", 2000, "-m", 4096,
                "-I", "8m", "-t", servers.CORES, *(["-u", "nobody"] if servers.is_root() else [])]

    def version(self):
        return f"{servers.run(['memcached', '--version']).strip()}, {servers.CORES} threads"

    def open_connection(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=servers.START_SECONDS)
        connection.sendall(b"get key:000000000001\r\n")
        if not connection.recv(4096):
            raise EOFError
        return connection

    def load_keys(self):
        kv.load(self, servers.KEY_COUNT)

    def rate(self, operation, clients, pipeline):
        return kv.run(self, operation, clients, pipeline).rate

    def idle_connection_kib(self, clients):
        return servers.shared_idle_connection_kib(self, clients)

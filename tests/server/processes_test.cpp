// Connections and processes: who gets in, what is seen of them, and what their deaths cost.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <set>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";

std::string SlotOf(Connection& connection) {
  const std::string info = connection("CLIENT", "INFO").text;
  const size_t at = info.find(" slot=");
  return at == std::string::npos ? "" : info.substr(at + 6, info.find(' ', at + 1) - at - 6);
}

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

// Archiver, background writer, checkpointer, process monitor, vacuum, wal writer.
constexpr size_t kAuxiliaryProcesses = 6;

size_t CountOf(std::string_view text, std::string_view in) {
  size_t count = 0;
  for (size_t at = 0; (at = in.find(text, at)) != std::string_view::npos; ++at) ++count;
  return count;
}

bool Works(Connection& connection) { return connection("PING").text == "PONG"; }

// A client's end is noticed by its process, whose end is noticed by the postmaster.
bool GetsIn(const Server& server, Connection* connection) {
  return WaitUntil([&] {
    *connection = server.Connect();
    return Works(*connection);
  });
}

bool HasIpv6Loopback() {
  const std::string interfaces = ReadFile("/proc/net/if_inet6");
  return interfaces.find("00000000000000000000000000000001") != std::string::npos;
}

}  // namespace

TEST_CASE("one client too many is told so, and a place that becomes free can be taken") {
  Server server({"--max_connections", "3"});
  Connection a, b, c;
  REQUIRE(
      GetsIn(server, &a));  // the one that looked whether the server is ready may still be ending
  REQUIRE(GetsIn(server, &b));
  REQUIRE(GetsIn(server, &c));
  Connection refused = server.Connect();
  CHECK(refused.ReceiveRaw(kRefusal.size()) == kRefusal);
  CHECK(refused.ClosedByServer());
  CHECK(Works(a));
  CHECK(StatOf(a, "connections_rejected_limit") >= 1);
  b.Close();
  Connection next;
  CHECK(GetsIn(server, &next));
}

TEST_CASE("reserved connections are kept for the Unix socket") {
  TemporaryDirectory root;
  const std::string path = root.path() + "/s";
  Server server({"--max_connections", "3", "--reserved_connections", "2", "--unix_socket", path});
  Connection tcp;
  REQUIRE(GetsIn(server, &tcp));
  Connection refused = server.Connect();
  CHECK(refused.ReceiveRaw(kRefusal.size()) == kRefusal);
  Connection first = Connection::Unix(path), second = Connection::Unix(path);
  CHECK(Works(first));
  CHECK(Works(second));
  Connection third = Connection::Unix(path);
  CHECK(third.ReceiveRaw(kRefusal.size()) == kRefusal);
}

TEST_CASE("the Unix socket serves, has the mode asked for, and vanishes at the end") {
  TemporaryDirectory root;
  const std::string path = root.path() + "/socket";
  Server server({"--unix_socket", path, "--unix_socket_permissions", "660"});
  Connection connection = Connection::Unix(path);
  CHECK(Works(connection));
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  CHECK(RunWarren({"status", "-D", server.directory()}).output.find(path) != std::string::npos);
  CHECK(server.Stop() == 0);
  CHECK(stat(path.c_str(), &info) != 0);
}

TEST_CASE("a stale socket file is replaced, one that somebody listens on and other files are not") {
  TemporaryDirectory root;
  const std::string path = root.path() + "/socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(listener, 1) == 0);

  Server server(Server::NotStarted{}, {"--unix_socket", path});
  server.Launch();
  CHECK(server.WaitExit() == 1);
  CHECK(server.LogContains("already in use", Milliseconds(0)));

  close(listener);  // the file stays, nobody listens
  server.Start();
  Connection connection = Connection::Unix(path);
  CHECK(Works(connection));
  CHECK(server.Stop() == 0);

  WriteFile(path, "a file of mine");
  server.Launch();
  CHECK(server.WaitExit() == 1);
  CHECK(ReadFile(path) == "a file of mine");
}

TEST_CASE("a server can do without TCP") {
  TemporaryDirectory root;
  const std::string path = root.path() + "/socket";
  Server server(Server::NotStarted{}, {"--port", "0", "--unix_socket", path});
  server.Launch();
  CHECK(WaitUntil([&] { return Connection::Unix(path).open(); }));
  CHECK(server.Stop() == 0);
}

TEST_CASE("IPv4 and IPv6 are served on the same port") {
  if (!HasIpv6Loopback()) return;
  Server server({"--bind", "127.0.0.1 ::1"});
  Connection v4 = Connection::Tcp("127.0.0.1", server.port());
  Connection v6 = Connection::Tcp("::1", server.port());
  CHECK(v4("SET", "key", "value").ok());
  CHECK(v6("GET", "key").text == "value");
  CHECK(v6("CLIENT", "INFO").text.find("addr=[::1]:") != std::string::npos);
}

TEST_CASE("an address that is not there is an error unless it is marked as optional") {
  Server server(Server::NotStarted{}, {"--bind", "127.0.0.1 192.0.2.1"});
  server.Launch();
  CHECK(server.WaitExit() == 1);
  CHECK(server.LogContains("192.0.2.1", Milliseconds(0)));
  server.arguments() = {"--bind", "127.0.0.1 -192.0.2.1"};
  server.Start();
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("process titles show kind, client, database and what is going on") {
  Server server;
  CHECK(CommandLineOf(server.pid()) ==
        "warren: postmaster 127.0.0.1:" + std::to_string(server.port()) + " " + server.directory());
  CHECK(server.ChildTitled("warren: background writer") > 0);
  Connection connection = server.Connect();
  const pid_t backend = Server::BackendOf(connection);
  REQUIRE(backend > 0);
  CHECK(connection("SELECT", "7").ok());
  CHECK(WaitUntil([&] {
    const std::string title = CommandLineOf(backend);
    return title.starts_with("warren: backend 127.0.0.1:") && title.ends_with(" db7 idle");
  }));
}

TEST_CASE("a killed idle backend costs its client the connection and nobody else anything") {
  Server server;
  Connection victim = server.Connect(), other = server.Connect();
  CHECK(other("SET", "key", "1").ok());
  const std::string slot = SlotOf(victim);
  const pid_t pid = Server::BackendOf(victim);
  REQUIRE(pid > 0);
  REQUIRE(kill(pid, SIGKILL) == 0);
  CHECK(victim.ClosedByServer());
  CHECK(server.LogContains("killed by signal 9 (SIGKILL)"));
  CHECK(server.LogContains("backend " + std::to_string(pid) + ", slot " + slot));
  CHECK(server.LogContains("holding nothing"));
  CHECK(other("INCR", "key").integer == 2);
  // The slot is free again: the lowest free one is the next to be given out.
  CHECK(WaitUntil([&] {
    Connection next = server.Connect();
    return SlotOf(next) == slot;
  }));
  CHECK(StatOf(other, "deaths_backend") == 1);
  CHECK(server.Stop() == 0);
}

TEST_CASE("after a backend that was wild the server recovers from the log, and new clients wait") {
  Server server;
  Connection victim = server.Connect(), other = server.Connect();
  for (int i = 0; i < 100; ++i) {
    CHECK(other("SET", "key" + std::to_string(i), "value").ok());
  }
  const pid_t postmaster = server.pid();
  REQUIRE(kill(Server::BackendOf(victim), SIGSEGV) == 0);
  CHECK(other.ClosedByServer());
  // Not refused: the listening socket is the same one.
  Connection next = server.Connect();
  CHECK(next("GET", "key99").text == "value");
  CHECK(next("DBSIZE").integer == 100);
  CHECK(next("SET", "key100", "value").ok());
  CHECK(server.pid() == postmaster);
  CHECK(server.LogContains("(SIGSEGV)", Milliseconds(0)));
  CHECK(server.LogContains("crash restart", Milliseconds(0)));
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(server.Command("DBSIZE").integer == 101);
}

TEST_CASE("a server that crashes again and again gives up with one clear line") {
  Server server;
  // As often as it takes: one that is let in just before the former crash is noticed ends with that
  // one, and its own signal counts for nothing.
  CHECK(WaitUntil([&] {
    if (server.LogContains("too many crash restarts", Milliseconds(0))) return true;
    Connection victim = server.Connect();
    if (!Works(victim)) return false;
    const pid_t victim_pid = Server::BackendOf(victim);
    if (victim_pid > 0 && kill(victim_pid, SIGSEGV) == 0) {
      CHECK(WaitUntil([&] { return !ProcessExists(victim_pid); }));
    }
    return false;
  }));
  CHECK(server.WaitExit() == 1);
  CHECK(CountOf("crash restart: ", server.log()) == 5);
  server.Start();
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("a killed background writer is started again in good time") {
  Server server;
  const pid_t first = server.ChildTitled("warren: background writer");
  REQUIRE(first > 0);
  REQUIRE(kill(first, SIGKILL) == 0);
  pid_t second = 0;
  CHECK(WaitUntil([&] {
    second = server.ChildTitled("warren: background writer", Milliseconds(0));
    return second > 0 && second != first;
  }));
  CHECK(server.Command("SET", "key", "value").ok());
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(server.Command("GET", "key").text == "value");
}

TEST_CASE(
    "a background writer asked to end by a stranger does not close the store under the sessions") {
  Server server;
  CHECK(server.Command("SET", "key", "1").ok());
  const pid_t first = server.ChildTitled("warren: background writer");
  REQUIRE(first > 0);
  REQUIRE(kill(first, SIGTERM) == 0);
  CHECK(WaitUntil([&] {
    const pid_t now = server.ChildTitled("warren: background writer", Milliseconds(0));
    return now > 0 && now != first;
  }));
  CHECK(server.Command("INCR", "key").integer == 2);
  server.Kill();
  const size_t log_before = server.log().size();
  server.Start();
  CHECK(server.log().find("not shut down cleanly", log_before) != std::string::npos);
  CHECK(server.Command("GET", "key").text == "2");
}

TEST_CASE("children vanish with a killed postmaster, and only then the directory can be taken") {
  Server server;
  Connection connection = server.Connect();
  const pid_t backend = Server::BackendOf(connection);
  const pid_t writer = server.ChildTitled("warren: background writer");
  REQUIRE(backend > 0);
  REQUIRE(writer > 0);
  server.Kill();
  CHECK(WaitUntil([&] { return !ProcessExists(backend) && !ProcessExists(writer); }));
  CHECK(connection.ClosedByServer());
  server.Start();  // the lock went with the last child
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("a session that does not end in time at a fast shutdown is killed") {
  Server server({"--shutdown_timeout", "200ms"});
  Connection connection = server.Connect();
  CHECK(connection("SET", "key", "value").ok());
  const pid_t backend = Server::BackendOf(connection);
  REQUIRE(backend > 0);
  REQUIRE(kill(backend, SIGSTOP) == 0);
  CHECK(server.LogContains("stopped by signal 19 (SIGSTOP)"));
  CHECK(server.Stop() == 0);
  CHECK(server.LogContains("shutdown_timeout", Milliseconds(0)));
  server.Start();
  CHECK(server.Command("GET", "key").text == "value");
}

TEST_CASE("a hundred and fifty clients at once are served, each by a process of its own") {
  Server server({"--max_connections", "200"});
  std::vector<Connection> connections;
  for (int i = 0; i < 150; ++i) connections.push_back(server.Connect());
  for (Connection& connection : connections) connection.Append({"INCR", "counter"});
  for (Connection& connection : connections) CHECK(connection.Receive().integer > 0);
  CHECK(server.Command("GET", "counter").text == "150");
  std::set<pid_t> processes;
  for (Connection& connection : connections) processes.insert(Server::BackendOf(connection));
  CHECK(processes.size() == 150);
  connections.clear();
  // Nothing of them is left but the connection used here.
  CHECK(WaitUntil([&] { return ChildrenOf(server.pid()).size() <= kAuxiliaryProcesses + 1; }));
  CHECK(server.Stop() == 0);
}

TEST_CASE("connections that come and go at once leave no process, slot or descriptor behind") {
  Server server({"--max_connections", "50"});
  const auto descriptors = [&] {
    return ListDirectory("/proc/" + std::to_string(server.pid()) + "/fd").size();
  };
  CHECK(WaitUntil([&] { return ChildrenOf(server.pid()).size() == kAuxiliaryProcesses; }));
  const size_t before = descriptors();
  for (int round = 0; round < 300; ++round) {
    Connection connection;
    REQUIRE(GetsIn(server, &connection));
  }
  CHECK(WaitUntil([&] { return ChildrenOf(server.pid()).size() == kAuxiliaryProcesses; }));
  CHECK(WaitUntil([&] { return descriptors() <= before; }));  // the last ones are being closed
  Connection last = server.Connect();
  CHECK(std::stoi("0" + SlotOf(last)) < 10);
}

TEST_CASE("a backend has no descriptor of the postmaster's sockets") {
  Server server;
  Connection connection = server.Connect();
  const pid_t backend = Server::BackendOf(connection);
  REQUIRE(backend > 0);
  size_t sockets = 0, event_loops = 0;
  for (const std::string& target : ListLinks("/proc/" + std::to_string(backend) + "/fd")) {
    sockets += target.starts_with("socket:");
    event_loops += target.find("eventpoll") != std::string::npos;
  }
  CHECK(sockets == 1);
  CHECK(event_loops == 0);
}

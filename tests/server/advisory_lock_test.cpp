// LOCK and its kind, as clients see them.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

// A row of LOCKS.
struct Row {
  std::map<std::string, std::string> fields;
  std::vector<int64_t> blocked_by;
  const std::string& operator[](const char* name) const { return fields.at(name); }
};

std::vector<Row> LocksOf(Server& server) {
  std::vector<Row> rows;
  for (const Reply& reply : server.Command("LOCKS").elements) {
    Row& row = rows.emplace_back();
    for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
      const Reply& value = reply.elements[i + 1];
      row.fields[reply.elements[i].text] =
          value.type == Reply::kInteger ? std::to_string(value.integer) : value.text;
      for (const Reply& pid : value.elements) row.blocked_by.push_back(pid.integer);
    }
  }
  return rows;
}

bool WaitForWaiters(Server& server, size_t count) {
  return WaitUntil([&] {
    size_t waiting = 0;
    for (const Row& row : LocksOf(server)) waiting += row["granted"] == "0" ? 1 : 0;
    return waiting == count;
  });
}

bool NoLocks(Server& server) {
  return WaitUntil([&] { return LocksOf(server).empty(); });
}

int64_t Token(const Reply& reply) {
  REQUIRE_MESSAGE(reply.type == Reply::kInteger, reply.text);
  return reply.integer;
}

}  // namespace

TEST_CASE("a lock is held by one session at a time and every grant has a larger token") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t first = Token(a("LOCK", "name"));
  CHECK(first > 0);
  CHECK(b("TRYLOCK", "name").nil());
  CHECK(b("TRYLOCK", "name", "SHARED").nil());
  CHECK(b("LOCK", "name", "TIMEOUT", "0").nil());
  CHECK(b("LOCK", "name", "TIMEOUT", "20").nil());
  CHECK(Token(b("TRYLOCK", "other")) > first);
  CHECK(b("UNLOCK", "name").integer == 0);
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(a("UNLOCK", "name").integer == 0);
  const int64_t second = Token(b("LOCK", "name"));
  CHECK(second > first);
  CHECK(b("UNLOCK", "name").integer == 1);
  CHECK(Token(a("TRYLOCK", "name")) > second);
  a("UNLOCK", "name");
  b("UNLOCK", "other");
  CHECK(NoLocks(server));
}

TEST_CASE("LOCK waits until the holder lets go") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t first = Token(a("LOCK", "name"));
  b.SendRaw("LOCK name\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(Token(b.Receive()) > first);
}

TEST_CASE("shared holders go together and keep an exclusive one out") {
  Server server;
  Connection a = server.Connect(), b = server.Connect(), c = server.Connect();
  const int64_t first = Token(a("LOCK", "name", "SHARED"));
  CHECK(Token(b("LOCK", "name", "shared")) > first);
  c.SendRaw("LOCK name\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  // The one that waits is not overtaken.
  Connection d = server.Connect();
  CHECK(d("TRYLOCK", "name", "SHARED").nil());
  a("UNLOCK", "name");
  b("UNLOCK", "name");
  CHECK(Token(c.Receive()) > first);
}

TEST_CASE("a lock taken more than once is given back as often and keeps its token") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t token = Token(a("LOCK", "name"));
  CHECK(Token(a("LOCK", "name")) == token);
  CHECK(Token(a("TRYLOCK", "name", "SHARED")) == token);
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(b("TRYLOCK", "name").nil());
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(Token(b("TRYLOCK", "name")) > token);
}

TEST_CASE("a shared lock that becomes exclusive gets a new token") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t shared = Token(a("LOCK", "name", "SHARED"));
  CHECK(b("TRYLOCK", "name").nil());
  const int64_t exclusive = Token(a("LOCK", "name"));
  CHECK(exclusive > shared);
  CHECK(b("TRYLOCK", "name", "SHARED").nil());
}

TEST_CASE("lock_timeout ends LOCK with an error where its own timeout ends it with null") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  Token(a("LOCK", "name"));
  REQUIRE(b("SESSION", "SET", "lock_timeout", "30ms").ok());
  CHECK(b("LOCK", "name").is_error("LOCKTIMEOUT "));
  CHECK(b("LOCK", "name", "TIMEOUT", "10").nil());
  CHECK(b("LOCK", "name", "TIMEOUT", "100000").is_error("LOCKTIMEOUT "));
  a("UNLOCK", "name");
  Token(b("LOCK", "name"));
}

TEST_CASE("a session's locks end with it, however it ends") {
  Server server;
  Connection b = server.Connect();
  const auto freed = [&](const char* how) {
    CAPTURE(how);
    CHECK(Token(b("LOCK", "name", "TIMEOUT", "20000")) > 0);
    b("UNLOCK", "name");
  };
  {
    Connection a = server.Connect();
    Token(a("LOCK", "name"));
    CHECK(a("RESET").text == "RESET");
    freed("RESET");
    Token(a("LOCK", "name"));
    CHECK(a("QUIT").ok());
    freed("QUIT");
  }
  {
    Connection a = server.Connect();
    Token(a("LOCK", "name"));
    a.Close();
    freed("the client went away");
  }
  {
    Connection a = server.Connect();
    Token(a("LOCK", "name"));
    const std::string id = std::to_string(a("CLIENT", "ID").integer);
    CHECK(b("CLIENT", "KILL", "ID", id).integer == 1);
    freed("CLIENT KILL");
  }
  {
    Connection a = server.Connect();
    Token(a("LOCK", "name"));
    REQUIRE(kill(Server::BackendOf(a), SIGKILL) == 0);
    freed("SIGKILL");
  }
  CHECK(NoLocks(server));
}

TEST_CASE("a client that goes away while it waits for a lock is not given it") {
  Server server;
  Connection a = server.Connect(), b = server.Connect(), c = server.Connect();
  Token(a("LOCK", "name"));
  b.SendRaw("LOCK name\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  b.Close();
  CHECK(WaitForWaiters(server, 0));
  c.SendRaw("LOCK name\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  a("UNLOCK", "name");
  CHECK(Token(c.Receive()) > 0);
}

TEST_CASE("a lock whose time to live has passed is taken by whoever wants it") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t first = Token(a("LOCK", "name", "TTL", "30"));
  // Still held although its time has passed: nobody has asked for it.
  const int64_t second = Token(b("LOCK", "name", "TIMEOUT", "20000"));
  CHECK(second > first);
  CHECK(a("UNLOCK", "name").integer == 0);
  CHECK(a("TRYLOCK", "name").nil());
  CHECK(b("UNLOCK", "name").integer == 1);
  CHECK(Token(a("TRYLOCK", "name", "TTL", "100000")) > second);
  CHECK(b("TRYLOCK", "name").nil());
  CHECK(b("LOCK", "name", "TIMEOUT", "50").nil());
  CHECK(a("UNLOCK", "name").integer == 1);
}

TEST_CASE("taking a lock again renews its time to live") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t token = Token(a("LOCK", "name", "TTL", "1000000"));
  CHECK(Token(a("LOCK", "name", "TTL", "1")) == token);
  CHECK(Token(b("LOCK", "name", "TIMEOUT", "20000")) > token);
  CHECK(a("UNLOCK", "name").integer == 0);
}

TEST_CASE("one's own lock that has lapsed is not renewed once somebody else has taken it") {
  Server server({"--fault_points", "yes"});
  Connection a = server.Connect(), b = server.Connect();
  const int64_t first = Token(a("LOCK", "name", "TTL", "1"));
  const auto lapsed = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  REQUIRE(WaitUntil([&] { return std::chrono::steady_clock::now() > lapsed; }));
  CHECK(server.Command("FAULT", "SET", "lock_granted", "hang", "TIMES", "1").ok());
  a.SendRaw("LOCK name TTL 60000\r\n");
  CHECK(WaitUntil([&] { return server.LogContains("fault point lock_granted: hang"); }));
  const int64_t taken = Token(b("LOCK", "name"));
  CHECK(taken > first);
  CHECK_FALSE(server.Command("FAULT", "CLEAR").is_error());
  CHECK(WaitForWaiters(server, 1));
  CHECK(Token(b("UNLOCK", "name")) == 1);
  CHECK(Token(a.Receive()) > taken);
  CHECK(Token(a("UNLOCK", "name")) == 1);
  CHECK(NoLocks(server));
}

TEST_CASE("tokens go on growing after a shutdown and after a crash") {
  Server server;
  int64_t last = 0;
  const auto grows = [&] {
    Connection client = server.Connect();
    const int64_t token = Token(client("LOCK", "name"));
    CHECK(token > last);
    last = token;
  };
  grows();
  grows();
  REQUIRE(server.Stop() == 0);
  server.Start();
  grows();
  server.Kill();
  server.Start();
  grows();
  server.Kill();
  server.Start();
  grows();
  CHECK(server.Command("GET", "nothing").nil());
}

TEST_CASE("a transaction's lock ends with the transaction and a session's does not") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("LOCK", "name", "TRANSACTION").text ==
        "ERR there is no transaction that could hold the lock");
  for (const char* end : {"COMMIT", "ROLLBACK"}) {
    CAPTURE(end);
    REQUIRE(a("BEGIN").ok());
    Token(a("LOCK", "name", "TRANSACTION"));
    Token(a("TRYLOCK", "kept"));
    CHECK(a("UNLOCK", "name").integer == 0);
    CHECK(b("TRYLOCK", "name").nil());
    CHECK(a(end).ok());
    Token(b("TRYLOCK", "name"));
    CHECK(b("TRYLOCK", "kept").nil());
    b("UNLOCK", "name");
    CHECK(a("UNLOCK", "kept").integer == 1);
  }
  CHECK(NoLocks(server));
}

TEST_CASE("a lock held by session and transaction is free when neither holds it") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  REQUIRE(a("BEGIN").ok());
  const int64_t token = Token(a("LOCK", "name"));
  CHECK(Token(a("LOCK", "name", "TRANSACTION")) == token);
  CHECK(a("UNLOCK", "name").integer == 1);
  CHECK(b("TRYLOCK", "name").nil());
  CHECK(a("COMMIT").ok());
  CHECK(Token(b("TRYLOCK", "name")) > token);
}

TEST_CASE("LOCKS shows who holds what and who waits for whom") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const int64_t token = Token(a("LOCK", "the name"));
  b.SendRaw("LOCK \"the name\" SHARED\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  REQUIRE(WaitUntil([&] {
    for (const Row& row : LocksOf(server)) {
      if (row["granted"] == "0" && row["wait_ms"] != "0") return true;
    }
    return false;
  }));
  const std::vector<Row> rows = LocksOf(server);
  REQUIRE(rows.size() == 2);
  const pid_t holder = Server::BackendOf(a);
  for (const Row& row : rows) {
    CHECK(row["kind"] == "advisory");
    CHECK(row["name"] == "the name");
    CHECK(row["database"] == "0");
    const bool granted = row["granted"] == "1";
    CHECK(row["mode"] == (granted ? "X" : "S"));
    if (granted) {
      CHECK(row["pid"] == std::to_string(holder));
      CHECK(row["client"] == std::to_string(a("CLIENT", "ID").integer));
      CHECK(row["token"] == std::to_string(token));
      CHECK(row["wait_ms"] == "0");
      CHECK(row.blocked_by.empty());
    } else {
      CHECK(row["token"] == "0");
      CHECK(row.blocked_by == std::vector<int64_t>{holder});
    }
  }
}

TEST_CASE("LOCKS shows the locks of transactions on keys and databases") {
  Server server;
  Connection a = server.Connect();
  a("SELECT", "3");
  REQUIRE(a("BEGIN").ok());
  a("GET", "read");
  a("SET", "written", "v");
  std::map<std::string, std::string> modes;
  for (const Row& row : LocksOf(server)) {
    CHECK(row["database"] == "3");
    CHECK(row["granted"] == "1");
    modes[row["kind"] + " " + row["name"]] = row["mode"];
  }
  CHECK(modes["key read"] == "S");
  CHECK(modes["key written"] == "X");
  CHECK(modes.size() == 3);
  CHECK(a("ROLLBACK").ok());
  CHECK(NoLocks(server));
}

TEST_CASE("of two sessions that wait for each other's locks one is told so and keeps its own") {
  Server server({"--deadlock_timeout", "20ms"});
  Connection a = server.Connect(), b = server.Connect();
  Token(a("LOCK", "one"));
  Token(b("LOCK", "two"));
  a.SendRaw("LOCK two\r\n");
  REQUIRE(WaitForWaiters(server, 1));
  b.SendRaw("LOCK one\r\n");
  // One of the replies comes, the other after its owner lets go.
  CHECK(WaitForWaiters(server, 1));
  CHECK(server.LogContains("deadlock"));
  Connection c = server.Connect();
  CHECK(c("TRYLOCK", "one").nil());
  CHECK(c("TRYLOCK", "two").nil());
  CHECK(b.Receive().is_error("DEADLOCK "));
  CHECK(b("UNLOCK", "two").integer == 1);
  Token(a.Receive());
}

TEST_CASE("what LOCK does not understand is refused and locks nothing") {
  Server server;
  Connection client = server.Connect();
  const std::string syntax = "ERR syntax error";
  CHECK(client("LOCK").text == "ERR wrong number of arguments for 'lock' command");
  CHECK(client("LOCK", "name", "bogus").text == syntax);
  CHECK(client("LOCK", "name", "TIMEOUT").text == syntax);
  CHECK(client("LOCK", "name", "TTL").text == syntax);
  CHECK(client("TRYLOCK", "name", "TIMEOUT", "5").text == syntax);
  CHECK(client("LOCK", "name", "TIMEOUT", "-1").is_error("ERR TIMEOUT must be between 0 and "));
  CHECK(client("LOCK", "name", "TTL", "0").is_error("ERR TTL must be between 1 and "));
  CHECK(client("LOCK", "name", "TTL", "9223372036854775807").is_error("ERR TTL must be between"));
  CHECK(client("LOCK", "name", "TTL", "x").text == "ERR value is not an integer or out of range");
  CHECK(client("UNLOCK", "name", "x").is_error("ERR wrong number of arguments"));
  CHECK(client("LOCKS", "x").is_error("ERR wrong number of arguments"));
  CHECK(NoLocks(server));
  CHECK(Token(client("LOCK", "")) > 0);
  CHECK(Token(client("LOCK", std::string(100'000, 'n'))) > 0);
  CHECK(client("UNLOCK", "").integer == 1);
}

}  // namespace warren::test

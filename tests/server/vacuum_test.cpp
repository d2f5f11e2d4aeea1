// What goes without anybody asking for it?
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

int64_t StatOf(Server& server, const std::string& name) {
  const Reply reply = server.Command("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string KeyOf(int i) { return "key:" + std::to_string(i); }

// Puts `count` keys of `bytes` each with a time to live.
void PutAll(Connection& connection, int count, size_t bytes, const std::string& ttl_ms) {
  const std::string value(bytes, 'v');
  for (int i = 0; i < count; ++i) connection.Append({"SET", KeyOf(i), value, "PX", ttl_ms});
  for (int i = 0; i < count; ++i) REQUIRE(connection.Receive().ok());
}

int64_t FileBytes(const Server& server) {
  struct stat info {};
  REQUIRE(stat((server.directory() + "/base/main").c_str(), &info) == 0);
  return info.st_size;
}

int64_t KeyCount(Server& server) { return server.Command("DBSIZE").integer; }

}  // namespace

TEST_CASE("keys whose time has come go without being asked for, all others stay") {
  Server server;
  Connection connection = server.Connect();
  CHECK(server.Command("SET", "stays", "1").ok());
  CHECK(server.Command("SET", "stays for an hour", "1", "EX", "3600").ok());
  PutAll(connection, 3000, 100, "300");
  CHECK(WaitUntil([&] { return KeyCount(server) == 2; }));
  CHECK(StatOf(server, "expired_keys") == 3000);
  CHECK(server.Command("INFO", "keyspace").text.find("db0:keys=2,expires=1,") != std::string::npos);
  // And again, when vacuum has fallen asleep until the hour is over.
  CHECK(server.Command("SET", "soon", "1", "PX", "100").ok());
  CHECK(WaitUntil([&] { return KeyCount(server) == 2; }));
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(KeyCount(server) == 2);
}

TEST_CASE("keys that expired while the server was down go after its start") {
  Server server({"--vacuum_cost_limit", "0"});
  Connection connection = server.Connect();
  PutAll(connection, 500, 10, "1");
  CHECK(server.Command("SET", "stays", "1", "EX", "3600").ok());
  CHECK(KeyCount(server) == 501);
  CHECK(server.Stop() == 0);
  server.arguments().back() = "100";
  server.Start();
  CHECK(WaitUntil([&] { return KeyCount(server) == 1; }));
  CHECK(StatOf(server, "expired_keys") == 500);
  CHECK(server.Command("EXISTS", "stays").integer == 1);
}

TEST_CASE("switched off, vacuum leaves expired keys alone until VACUUM") {
  Server server({"--vacuum_cost_limit", "0"});
  Connection connection = server.Connect();
  PutAll(connection, 300, 100, "1");
  CHECK(server.Command("SET", "stays", "1").ok());
  CHECK(StatOf(server, "vacuum_pages") == 0);
  CHECK(KeyCount(server) == 301);
  // The milliseconds are over when a later key's are.
  CHECK(server.Command("SET", "other", "1", "PX", "1").ok());
  CHECK(WaitUntil([&] { return server.Command("GET", "other").nil(); }));
  CHECK(KeyCount(server) == 301);
  CHECK(server.Command("VACUUM").ok());
  CHECK(KeyCount(server) == 1);
  CHECK(server.Command("CONFIG", "SET", "vacuum_cost_limit", "100").ok());
  PutAll(connection, 300, 100, "1");
  CHECK(WaitUntil([&] { return KeyCount(server) == 1; }));
}

TEST_CASE("the data file shrinks when nobody has asked for anything") {
  Server server({"--vacuum_naptime", "50ms"});
  Connection connection = server.Connect();
  // In the first leaf, which lies at the file's begin.
  CHECK(server.Command("SET", "a", "stays").ok());
  PutAll(connection, 1000, 20'000, "600000");
  CHECK(FileBytes(server) > 20'000'000);
  for (int i = 0; i < 1000; ++i) connection.Append({"PEXPIRE", KeyOf(i), "50"});
  for (int i = 0; i < 1000; ++i) REQUIRE(connection.Receive().integer == 1);
  CHECK(WaitUntil([&] { return FileBytes(server) < 8'000'000; }));
  CHECK(KeyCount(server) == 1);
  CHECK(WaitUntil([&] { return StatOf(server, "pages_cut_off") > 1000; }));
  PutAll(connection, 100, 20'000, "600000");
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(KeyCount(server) == 101);
  CHECK(server.Command("GET", KeyOf(7)).text == std::string(20'000, 'v'));
}

TEST_CASE("VACUUM cuts what FLUSHALL has left of the file, also across a crash") {
  Server server({"--vacuum_cost_limit", "0"});
  Connection connection = server.Connect();
  for (int round = 0; round < 2; ++round) {
    PutAll(connection, 300, 50'000, "600000");
    CHECK(FileBytes(server) > 15'000'000);
    CHECK(server.Command("FLUSHALL").ok());
    CHECK(server.Command("SET", "stays", "1").ok());
    CHECK(server.Command("VACUUM").ok());
    CHECK(FileBytes(server) < 1 << 20);
    // Everything of the log since the start is made again, the cut in the middle of it.
    server.Kill();
    server.Start();
    connection = server.Connect();
    CHECK(FileBytes(server) < 1 << 20);
    CHECK(KeyCount(server) == 1);
    CHECK(server.Command("GET", "stays").text == "1");
  }
}

TEST_CASE("a killed vacuum process is started again and finds what the former one knew of") {
  Server server;
  Connection connection = server.Connect();
  const pid_t first = server.ChildTitled("warren: vacuum");
  REQUIRE(first > 0);
  PutAll(connection, 2000, 100, "1500");
  REQUIRE(kill(first, SIGKILL) == 0);
  CHECK(WaitUntil([&] {
    const pid_t now = server.ChildTitled("warren: vacuum", Milliseconds(0));
    return now > 0 && now != first;
  }));
  CHECK(WaitUntil([&] { return KeyCount(server) == 0; }));
  CHECK(server.Command("VACUUM").ok());
  CHECK(server.Stop() == 0);
}

}  // namespace warren::test

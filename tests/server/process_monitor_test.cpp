// What is left of a killed process, and who clears it away?
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string ClientField(Connection& connection, const std::string& field) {
  const std::string info = connection("CLIENT", "INFO").text;
  const size_t at = info.find(" " + field + "=");
  if (at == std::string::npos) return "";
  const size_t begin = at + field.size() + 2;
  return info.substr(begin, info.find(' ', begin) - begin);
}

int SlotOf(Connection& connection) { return std::stoi("0" + ClientField(connection, "slot")); }

pid_t MonitorOf(const Server& server, Milliseconds patience = kPatience) {
  return server.ChildTitled("warren: process monitor", patience);
}

void KillBackendOf(Connection& connection) {
  const pid_t pid = Server::BackendOf(connection);
  REQUIRE(pid > 0);
  REQUIRE(kill(pid, SIGKILL) == 0);
}

// One place may still be taken by a connection that is just ending.
bool GetsIn(const Server& server, std::vector<Connection>& connections) {
  return WaitUntil([&] {
    Connection next = server.Connect();
    if (next("PING").text != "PONG") return false;
    connections.push_back(std::move(next));
    return true;
  });
}

// No death so far has ended a session that was not the dead one's own.
void CheckNobodyElseWasHarmed(const Server& server, Connection& witness) {
  CHECK(witness("PING").text == "PONG");
  CHECK(StatOf(witness, "full_restarts") == 0);
  CHECK(server.log().find("stopping all processes") == std::string::npos);
}

}  // namespace

TEST_CASE("the slots of five hundred killed backends are used again") {
  Server server({"--max_connections", "30"});
  Connection witness = server.Connect();
  for (int i = 0; i < 500; ++i) {
    Connection victim = server.Connect();
    REQUIRE(victim("INCR", "kills").integer == i + 1);
    REQUIRE(SlotOf(victim) < 30);
    KillBackendOf(victim);
    REQUIRE(victim.ClosedByServer());
  }
  CHECK(WaitUntil([&] { return StatOf(witness, "repairs") == 500; }));
  CHECK(StatOf(witness, "deaths_backend") == 500);
  CHECK(witness("GET", "kills").text == "500");
  CheckNobodyElseWasHarmed(server, witness);
  CHECK(server.Stop() == 0);
}

TEST_CASE("many backends killed at once leave room for as many new ones at once") {
  constexpr int kClients = 60;
  Server server({"--max_connections", std::to_string(kClients + 1)});
  Connection witness = server.Connect();
  for (int round = 0; round < 3; ++round) {
    std::vector<Connection> victims;
    std::vector<pid_t> pids;
    for (int i = 0; i < kClients; ++i) {
      REQUIRE(GetsIn(server, victims));
      pids.push_back(Server::BackendOf(victims.back()));
      REQUIRE(pids.back() > 0);
    }
    for (const pid_t pid : pids) REQUIRE(kill(pid, SIGKILL) == 0);
    for (Connection& victim : victims) REQUIRE(victim.ClosedByServer());
  }
  CHECK(WaitUntil([&] { return StatOf(witness, "repairs") == 3 * kClients; }));
  CheckNobodyElseWasHarmed(server, witness);
}

TEST_CASE("a killed process monitor is replaced, and its slot is cleared like any other") {
  Server server;
  Connection witness = server.Connect();
  for (int i = 1; i <= 3; ++i) {
    const pid_t monitor = MonitorOf(server);
    REQUIRE(monitor > 0);
    REQUIRE(kill(monitor, SIGKILL) == 0);
    CHECK(WaitUntil([&] {
      const pid_t now = MonitorOf(server, Milliseconds(0));
      return now > 0 && now != monitor;
    }));
    CHECK(WaitUntil([&] { return StatOf(witness, "repairs") == i; }));
  }
  CHECK(StatOf(witness, "deaths_auxiliary") == 3);
  CheckNobodyElseWasHarmed(server, witness);
  CHECK(server.Stop() == 0);
}

TEST_CASE("what a process monitor was killed over, its successor finds") {
  Server server;
  Connection witness = server.Connect();
  int deaths = 0;
  for (int round = 0; round < 10; ++round) {
    std::vector<Connection> victims;
    std::vector<pid_t> pids;
    for (int i = 0; i < 5; ++i) {
      victims.push_back(server.Connect());
      pids.push_back(Server::BackendOf(victims.back()));
      REQUIRE(pids.back() > 0);
    }
    const pid_t monitor = MonitorOf(server);
    REQUIRE(monitor > 0);
    REQUIRE(kill(pids[0], SIGKILL) == 0);
    REQUIRE(kill(monitor, SIGKILL) == 0);
    for (int i = 1; i < 5; ++i) REQUIRE(kill(pids[static_cast<size_t>(i)], SIGKILL) == 0);
    deaths += 6;
    REQUIRE(WaitUntil([&] { return StatOf(witness, "repairs") == deaths; }));
  }
  CheckNobodyElseWasHarmed(server, witness);
  CHECK(server.Stop() == 0);
  CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
}

TEST_CASE("a clean shutdown waits for what a session killed by it has left") {
  Server server({"--shutdown_timeout", "100ms"});
  std::vector<Connection> connections;
  for (int i = 0; i < 20; ++i) {
    connections.push_back(server.Connect());
    CHECK(connections.back()("SET", "key" + std::to_string(i), "value").ok());
    REQUIRE(kill(Server::BackendOf(connections.back()), SIGSTOP) == 0);
  }
  CHECK(server.Stop() == 0);
  CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
  server.Start();
  CHECK(server.Command("DBSIZE").integer == 20);
}

TEST_CASE("a process monitor killed while the server shuts down is replaced until the end") {
  for (int round = 0; round < 5; ++round) {
    Server server({"--shutdown_timeout", "50ms"});
    Connection stuck = server.Connect();
    REQUIRE(kill(Server::BackendOf(stuck), SIGSTOP) == 0);
    const pid_t monitor = MonitorOf(server);
    REQUIRE(monitor > 0);
    server.Signal(SIGINT);
    REQUIRE(server.LogContains("fast shutdown"));
    REQUIRE(kill(monitor, SIGKILL) == 0);
    CHECK(server.WaitExit() == 0);
    CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
  }
}

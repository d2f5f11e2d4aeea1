// What is left of a killed process, and who clears it away?
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <random>
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
  Server server({"--max_connections", "30"});  // with a few dozen slots
  Connection witness = server.Connect();
  for (int i = 0; i < 500; ++i) {
    Connection victim = server.Connect();
    REQUIRE(victim("INCR", "kills").integer == i + 1);
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
    Server server({"--shutdown_timeout", "400ms"});
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

// -- Locks of the lock table

namespace {

// Sessions that wait for a lock of the lock table.
int LockWaiters(Connection& witness) {
  constexpr std::string_view kWaits = " wait=lock\n";
  const std::string list = witness("CLIENT", "LIST").text;
  int count = 0;
  for (size_t at = list.find(kWaits); at != std::string::npos; at = list.find(kWaits, at + 1)) {
    ++count;
  }
  return count;
}

// How often the server has come up.
int ReadyCount(const Server& server) {
  constexpr std::string_view kReady = "ready for connections";
  const std::string log = server.log();
  int count = 0;
  for (size_t at = log.find(kReady); at != std::string::npos; at = log.find(kReady, at + 1)) {
    ++count;
  }
  return count;
}

// Emptying the database is kept waiting by any lock on it or in it.
bool NothingIsLocked(Connection& witness) { return witness("FLUSHDB").ok(); }

}  // namespace

TEST_CASE("what a killed holder had locked goes to those who wait for it") {
  Server server;
  Connection witness = server.Connect(), holder = server.Connect();
  CHECK(witness("SET", "a", "0").ok());
  CHECK(holder("BEGIN").ok());
  CHECK(holder("SET", "a", "never seen").ok());
  CHECK(holder("GETLOCK", "b").nil());

  // In a transaction, by a command on one key, by one on two keys, by one on all.
  Connection transaction = server.Connect(), single = server.Connect(), several = server.Connect(),
             all = server.Connect();
  CHECK(transaction("BEGIN").ok());
  transaction.SendRaw("GETLOCK a\r\n");
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 1; }));
  single.SendRaw("INCR a\r\n");
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 2; }));
  several.SendRaw("MSET b 1 c 1\r\n");
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 3; }));
  all.SendRaw("FLUSHDB\r\n");
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 4; }));

  KillBackendOf(holder);
  CHECK(transaction.Receive().text == "0");
  CHECK(transaction("ROLLBACK").ok());
  CHECK(single.Receive().integer == 1);
  CHECK(several.Receive().ok());
  CHECK(all.Receive().ok());
  CHECK(witness("DBSIZE").integer == 0);
  CheckNobodyElseWasHarmed(server, witness);
}

TEST_CASE("a killed waiter stands in nobody's way") {
  Server server;
  Connection witness = server.Connect(), holder = server.Connect(), victim = server.Connect(),
             other = server.Connect();
  const pid_t victim_pid = Server::BackendOf(victim);
  REQUIRE(victim_pid > 0);
  for (Connection* reader : {&holder, &victim, &other}) CHECK((*reader)("BEGIN").ok());
  CHECK(holder("GET", "key").nil());
  victim.SendRaw("SET key 1\r\n");
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 1; }));
  other.SendRaw("GET key\r\n");  // behind the one that waits already
  REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 2; }));
  REQUIRE(kill(victim_pid, SIGKILL) == 0);
  CHECK(other.Receive().nil());
  CHECK(holder("COMMIT").ok());
  CHECK(other("COMMIT").ok());
  CheckNobodyElseWasHarmed(server, witness);
}

TEST_CASE("of a transaction whose backend is killed nobody ever sees anything") {
  Server server;
  Connection witness = server.Connect(), victim = server.Connect();
  CHECK(witness("MSET", "a", "1", "b", "1").ok());
  CHECK(victim("BEGIN").ok());
  CHECK(victim("SET", "a", "2").ok());
  CHECK(victim("DEL", "b").integer == 1);
  CHECK(victim("FLUSHDB").ok());
  KillBackendOf(victim);
  CHECK(WaitUntil([&] { return StatOf(witness, "repairs") == 1; }));
  CHECK(witness("INCR", "a").integer == 2);
  CHECK(witness("DBSIZE").integer == 2);
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(server.Command("GET", "a").text == "2");
  CHECK(server.Command("GET", "b").text == "1");
  Connection again = server.Connect();
  CHECK(NothingIsLocked(again));
}

TEST_CASE("five hundred killed holders leave neither locks nor slots behind") {
  Server server({"--max_connections", "30"});  // with a few dozen slots
  Connection witness = server.Connect(), waiter = server.Connect();
  for (int i = 0; i < 500; ++i) {
    Connection victim = server.Connect();
    REQUIRE(victim("BEGIN").ok());
    REQUIRE(victim("SET", "key", "never seen").ok());
    REQUIRE(victim("GETLOCK", "other" + std::to_string(i)).nil());
    waiter.SendRaw("INCR key\r\n");
    REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 1; }));
    KillBackendOf(victim);
    REQUIRE(waiter.Receive().integer == i + 1);
  }
  CHECK(WaitUntil([&] { return StatOf(witness, "repairs") == 500; }));
  CHECK(NothingIsLocked(witness));
  CheckNobodyElseWasHarmed(server, witness);
  CHECK(server.Stop() == 0);
}

TEST_CASE("a killed process monitor's successor gives the locks of the dead to those who wait") {
  Server server;
  Connection witness = server.Connect(), waiter = server.Connect();
  for (int i = 0; i < 20; ++i) {
    Connection victim = server.Connect();
    const pid_t victim_pid = Server::BackendOf(victim), monitor = MonitorOf(server);
    REQUIRE(victim_pid > 0);
    REQUIRE(monitor > 0);
    REQUIRE(victim("BEGIN").ok());
    REQUIRE(victim("SET", "key", "never seen").ok());
    waiter.SendRaw("INCR key\r\n");
    REQUIRE(WaitUntil([&] { return LockWaiters(witness) == 1; }));
    REQUIRE(kill(monitor, SIGKILL) == 0);
    REQUIRE(kill(victim_pid, SIGKILL) == 0);
    REQUIRE(waiter.Receive().integer == i + 1);
  }
  CHECK(NothingIsLocked(witness));
  CheckNobodyElseWasHarmed(server, witness);
  CHECK(server.Stop() == 0);
}

TEST_CASE("a full restart takes the locks and slots of the dead along") {
  Server server({"--max_connections", "20"});
  for (int round = 0; round < 3; ++round) {
    std::vector<Connection> victims;
    for (int i = 0; i < 8; ++i) {
      REQUIRE(GetsIn(server, victims));
      Connection& victim = victims.back();
      REQUIRE(victim("BEGIN").ok());
      REQUIRE(victim("SET", "key" + std::to_string(i), "never seen").ok());
    }
    std::vector<pid_t> pids;
    for (Connection& victim : victims) pids.push_back(Server::BackendOf(victim));
    for (size_t i = 1; i < pids.size(); ++i) REQUIRE(kill(pids[i], SIGKILL) == 0);
    REQUIRE(kill(pids[0], SIGSEGV) == 0);
    for (Connection& victim : victims) CHECK(victim.ClosedByServer());
    REQUIRE(WaitUntil([&] { return ReadyCount(server) == round + 2; }));
    Connection witness = server.Connect();
    CHECK(witness("DBSIZE").integer == 0);
    CHECK(NothingIsLocked(witness));
  }
  CHECK(server.Stop() == 0);
}

TEST_CASE("a shutdown in the midst of deaths leaves nothing half done") {
  for (int round = 0; round < 5; ++round) {
    Server server;
    std::vector<pid_t> pids;
    std::vector<Connection> victims;
    for (int i = 0; i < 10; ++i) {
      victims.push_back(server.Connect());
      Connection& victim = victims.back();
      pids.push_back(Server::BackendOf(victim));
      REQUIRE(pids.back() > 0);
      CHECK(victim("SET", "seen" + std::to_string(i), "1").ok());
      CHECK(victim("BEGIN").ok());
      CHECK(victim("SET", "unseen" + std::to_string(i), "1").ok());
    }
    for (const pid_t pid : pids) REQUIRE(kill(pid, SIGKILL) == 0);
    CHECK(server.Stop() == 0);
    CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
    server.Start();
    CHECK(server.Command("DBSIZE").integer == 10);
  }
}

namespace {

// Opens a transaction that sets all keys. False: the server is just starting over.
bool PutsAll(Connection& connection, const std::vector<std::string>& keys,
             const std::string& value) {
  if (!connection("BEGIN").ok()) return false;
  for (const std::string& key : keys) connection.Append({"SET", key, value});
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!connection.Receive().ok()) return false;
  }
  return true;
}

// The values of all keys, seen at one moment by whoever is let in.
std::vector<Reply> ReadAll(const Server& server, const std::vector<std::string>& keys) {
  std::vector<std::string> command = {"MGET"};
  command.insert(command.end(), keys.begin(), keys.end());
  Reply all;
  REQUIRE(WaitUntil([&] {
    all = server.Connect().Send(command);
    return all.elements.size() == keys.size();
  }));
  return all.elements;
}

}  // namespace

TEST_CASE("a commit whose process is killed happens wholly or not at all, for all who look") {
  const auto seed = static_cast<unsigned>(getpid());
  CAPTURE(seed);
  std::minstd_rand random(seed);
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back("key" + std::to_string(i));
  Server server;
  std::string before;
  // Killed while it held an lwlock, it ends all sessions; a server that has to start over too often
  // gives up.
  for (int round = 0; round < 40 && ReadyCount(server) < 4; ++round) {
    Connection victim;
    pid_t pid = 0;
    const std::string after = std::to_string(round);
    REQUIRE(WaitUntil([&] {
      victim = server.Connect();
      pid = Server::BackendOf(victim);
      return pid > 0 && PutsAll(victim, keys, after);
    }));
    victim.SendRaw("COMMIT\r\n");
    poll(nullptr, 0, static_cast<int>(random() % 6));  // some moment of it
    kill(pid, SIGKILL);
    REQUIRE(WaitUntil([&] { return !ProcessExists(pid); }));
    const std::vector<Reply> all = ReadAll(server, keys);
    CHECK((all[0].text == before || all[0].text == after));
    for (const Reply& value : all) REQUIRE(value.text == all[0].text);
    before = all[0].text;
  }
  server.Stop();  // perhaps while it starts over
  server.Start();
  for (const Reply& value : ReadAll(server, keys)) REQUIRE(value.text == before);
}

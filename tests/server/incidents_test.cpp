// Is each abnormal death told: whose it was, what was held and repaired, who waited, how long?
#include <signal.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

using Incident = std::map<std::string, Reply>;

Incident Fields(const Reply& reply) {
  Incident fields;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    fields[reply.elements[i].text] = reply.elements[i + 1];
  }
  return fields;
}

std::vector<Incident> IncidentsOf(Connection& connection, int count = 1000) {
  std::vector<Incident> incidents;
  const Reply reply = connection("INCIDENTS", std::to_string(count));
  for (const Reply& one : reply.elements) incidents.push_back(Fields(one));
  return incidents;
}

bool Ended(Incident& incident) { return incident["outcome"].text != "under repair"; }

// Waits until there are `count`, all of them ended.
std::vector<Incident> AwaitIncidents(Connection& connection, size_t count) {
  std::vector<Incident> incidents;
  CHECK(WaitUntil([&] {
    incidents = IncidentsOf(connection);
    return incidents.size() == count && std::ranges::all_of(incidents, Ended);
  }));
  REQUIRE(incidents.size() == count);
  return incidents;
}

int64_t Number(Incident& incident, const std::string& field) { return incident[field].integer; }
std::string Text(Incident& incident, const std::string& field) { return incident[field].text; }

pid_t KillBackendOf(Connection& connection, int signal = SIGKILL) {
  const pid_t pid = Server::BackendOf(connection);
  REQUIRE(pid > 0);
  REQUIRE(kill(pid, signal) == 0);
  return pid;
}

}  // namespace

TEST_CASE("a killed backend's incident names it, its client, its command and its locks") {
  Server server;
  Connection witness = server.Connect();
  CHECK(witness("INCIDENTS").elements.empty());
  Connection victim = server.Connect();
  CHECK(victim("CLIENT", "SETNAME", "the-victim").ok());
  CHECK(victim("BEGIN").ok());
  CHECK(victim("SET", "k", "v").ok());
  Connection waiter = server.Connect();
  const int64_t waiter_id = waiter("CLIENT", "ID").integer;
  auto waiting = std::async(std::launch::async, [&] { return waiter("SET", "k", "w").ok(); });
  CHECK(WaitUntil([&] {
    return witness("CLIENT", "LIST").text.find("wait=lock") != std::string::npos ||
           witness("STATS", "lock_waiting").elements.size() == 2;
  }));
  const pid_t pid = KillBackendOf(victim);
  CHECK(waiting.get());

  Incident incident = AwaitIncidents(witness, 1)[0];
  CHECK(Number(incident, "id") == 1);
  CHECK(Text(incident, "process") == "backend");
  CHECK(Number(incident, "pid") == pid);
  CHECK(Text(incident, "death") == "killed by signal 9 (SIGKILL)");
  CHECK(Text(incident, "client").starts_with("127.0.0.1:"));
  CHECK(Text(incident, "client_name") == "the-victim");
  CHECK(Text(incident, "outcome") == "repaired in place");
  CHECK(Number(incident, "lock_count") == 2);  // the key, and the database in mode IX
  CHECK(Text(incident, "locks").find("key \"k\" of database 0 X") != std::string::npos);
  CHECK(Number(incident, "lwlock_count") == 0);
  CHECK(Number(incident, "lwlocks_free_us") >= 0);
  CHECK(Number(incident, "locks_free_us") >= Number(incident, "lwlocks_free_us"));
  CHECK(Number(incident, "cleared_us") >= Number(incident, "locks_free_us"));
  CHECK(Number(incident, "lock_waiters") == 1);
  CHECK(Number(incident, "running_us") == -1);
  REQUIRE(incident["waiters"].elements.size() == 1);
  Incident waited = Fields(incident["waiters"].elements[0]);
  CHECK(Number(waited, "client_id") == waiter_id);
  CHECK(Text(waited, "lock") == "key \"k\" of database 0");
  CHECK(Number(waited, "waited_us") > 0);
  CHECK(server.LogContains("incident 1: backend " + std::to_string(pid)));
  CHECK(server.Stop() == 0);
}

TEST_CASE("incidents and their reset survive a restart and the postmaster's death") {
  Server server;
  for (int i = 0; i < 3; ++i) {
    Connection victim = server.Connect();
    KillBackendOf(victim);
  }
  Connection witness = server.Connect();
  auto before = AwaitIncidents(witness, 3);
  CHECK(server.Stop() == 0);
  server.Start();
  Connection after = server.Connect();
  auto loaded = AwaitIncidents(after, 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(Number(loaded[i], "pid") == Number(before[i], "pid"));
    CHECK(Text(loaded[i], "time") == Text(before[i], "time"));
  }
  CHECK(IncidentsOf(after, 2).size() == 2);
  CHECK(after("INCIDENTS", "RESET").ok());
  CHECK(IncidentsOf(after).empty());
  server.Kill();
  server.Start();
  Connection last = server.Connect();
  CHECK(IncidentsOf(last).empty());
  Connection victim = server.Connect();
  KillBackendOf(victim);
  CHECK(Number(AwaitIncidents(last, 1)[0], "id") == 4);
  CHECK(last("INCIDENTS", "-1").is_error("ERR"));
  CHECK(last("INCIDENTS", "few").is_error("ERR"));
  CHECK(last("INCIDENTS", "1", "2").is_error("ERR wrong number of arguments"));
  CHECK(server.Stop() == 0);
}

TEST_CASE(
    "a death that stops all processes is told once, with the time until the server ran again") {
  Server server;
  Connection killed = server.Connect();
  KillBackendOf(killed);
  Connection witness = server.Connect();
  AwaitIncidents(witness, 1);
  Connection wild = server.Connect();
  CHECK(wild("GET", "k").nil());
  const pid_t pid = KillBackendOf(wild, SIGSEGV);
  CHECK(witness.ClosedByServer());
  REQUIRE(server.WaitReady());
  Connection after = server.Connect();
  auto incidents = AwaitIncidents(after, 2);
  CHECK(Number(incidents[0], "pid") == pid);
  CHECK(Text(incidents[0], "death") == "killed by signal 11 (SIGSEGV)");
  CHECK(Text(incidents[0], "command") == "client|info");
  CHECK(Text(incidents[0], "outcome") == "full restart");
  CHECK(Text(incidents[0], "reason") == "shared memory cannot be trusted");
  CHECK(Number(incidents[0], "running_us") > 0);
  CHECK(Number(incidents[0], "cleared_us") == -1);
  CHECK(Text(incidents[1], "outcome") == "repaired in place");
  // The next monitor finds that it is told.
  REQUIRE(kill(server.ChildTitled("warren: process monitor"), SIGKILL) == 0);
  incidents = AwaitIncidents(after, 3);
  CHECK(Text(incidents[0], "process") == "process monitor");
  CHECK(Text(incidents[0], "client").empty());
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(AwaitIncidents(after = server.Connect(), 3).size() == 3);
}

TEST_CASE("a crash that ends the server is told by the next start") {
  Server server;
  // A server restarts after a few of them.
  size_t deaths = 0;
  CHECK(WaitUntil([&] {
    Connection wild = server.Connect();
    const pid_t pid = Server::BackendOf(wild);
    if (pid > 0 && kill(pid, SIGSEGV) == 0) ++deaths;
    return !server.running();
  }));
  CHECK(server.WaitExit() == 1);
  server.Start();
  Connection after = server.Connect();
  auto incidents = IncidentsOf(after);
  REQUIRE(incidents.size() >= 6);
  CHECK(incidents.size() <= deaths);
  for (Incident& incident : incidents) CHECK(Text(incident, "outcome") == "full restart");
  CHECK(Number(incidents.front(), "running_us") == -1);
  CHECK(Number(incidents.back(), "running_us") > 0);
  CHECK(server.Stop() == 0);
}

TEST_CASE("a process monitor killed over and over loses no incident and tells none twice") {
  Server server({"--crash_breaker_deaths", "0"});
  Connection witness = server.Connect();
  const auto stat = [&](const char* name) { return witness("STATS", name).elements[1].integer; };
  const auto dead_slots = [&] {
    const auto counts = witness("MEMORY", "COUNTS").elements;
    const auto at = std::ranges::find(counts, "dead_slots", &Reply::text);
    return at == counts.end() ? -1 : std::next(at)->integer;
  };
  constexpr int kRounds = 20;
  for (int i = 0; i < kRounds; ++i) {
    // Two monitors that die over the same dead one would make all start over.
    CHECK(WaitUntil([&] {
      return stat("deaths_backend") == i && stat("deaths_auxiliary") == i && dead_slots() == 0;
    }));
    Connection victim = server.Connect();
    const pid_t monitor = server.ChildTitled("warren: process monitor");
    REQUIRE(monitor > 0);
    KillBackendOf(victim);
    kill(monitor, SIGKILL);
  }
  const auto count = [&](const std::string& kind) {
    auto incidents = IncidentsOf(witness);
    return std::ranges::count_if(incidents, [&](Incident& incident) {
      return Text(incident, "process") == kind && Ended(incident);
    });
  };
  CHECK(WaitUntil([&] { return count("backend") == kRounds; }));
  CHECK(WaitUntil([&] { return count("process monitor") == stat("deaths_auxiliary"); }));
  CHECK(server.Stop() == 0);
  server.Start();
  Connection after = server.Connect();
  auto incidents = IncidentsOf(after);
  CHECK(std::ranges::count_if(incidents, [](Incident& incident) {
          return Text(incident, "process") == "backend";
        }) == kRounds);
  CHECK(server.Stop() == 0);
}

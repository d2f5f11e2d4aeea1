// What becomes of a process that hangs, is stopped, or dies at its start or end?
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string ClientId(Connection& connection) {
  return std::to_string(connection("CLIENT", "ID").integer);
}

bool WaitsAtPoint(Connection& witness) {
  return witness("CLIENT", "LIST").text.find(" wait=fault_point\n") != std::string::npos;
}

bool IsStopped(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t end_of_name = stat.rfind(')');
  return end_of_name != std::string::npos && stat.substr(end_of_name + 2, 1) == "T";
}

// How many processes have come up so far, or died at that very point.
int64_t StartsSoFar(Connection& witness) {
  const Reply list = witness("FAULT", "LIST", "process_running");
  const auto& fields = list.elements.at(0).elements;
  return std::next(std::ranges::find(fields, "hits", &Reply::text))->integer;
}

// Nobody but those that were meant has noticed anything.
void CheckOthersWentOn(const Server& server, Connection& witness) {
  CHECK(witness("PING").text == "PONG");
  CHECK(StatOf(witness, "full_restarts") == 0);
  CHECK(!server.LogContains("stopping all processes", Milliseconds(0)));
}

ProgramResult WarrenKill(const Server& server, const std::string& number,
                         std::vector<std::string> options) {
  std::vector<std::string> words = {"kill", number, server.directory()};
  words.insert(words.end(), options.begin(), options.end());
  return RunWarren(words);
}

}  // namespace

TEST_CASE("who waits for a stopped process's lock logs who it is, and CLIENT KILL ends it") {
  Server server({"--fault_points", "yes", "--lwlock_warn_timeout", "50ms"});
  Connection witness = server.Connect(), victim = server.Connect(), reader = server.Connect();
  CHECK(witness("SET", "key", "before").ok());
  CHECK(victim("CLIENT", "SETNAME", "culprit").ok());
  const std::string id = ClientId(victim);
  const pid_t pid = Server::BackendOf(victim);
  CHECK(witness("FAULT", "SET", "change_arm", "hang", "CLIENT", id).ok());
  victim.SendRaw("SET key after\r\n");
  REQUIRE(WaitUntil([&] { return WaitsAtPoint(witness); }));
  REQUIRE(kill(pid, SIGSTOP) == 0);
  REQUIRE(WaitUntil([&] { return IsStopped(pid); }));
  reader.SendRaw("GET key\r\n");
  CHECK(server.LogContains("waiting for lwlock buffer_content"));
  const std::string holder = " (backend " + std::to_string(pid) + ", client " + id + " 127.0.0.1:";
  CHECK(server.LogContains(holder, Milliseconds(0)));
  CHECK(
      server.LogContains("\"culprit\", in command \"set\", stopped) exclusively", Milliseconds(0)));
  CHECK(witness("CLIENT", "KILL", "ID", id).integer == 1);
  CHECK(reader.Receive().text == "before");  // when its time is up
  CHECK(victim.ClosedByServer());
  CHECK(server.LogContains("did not end within 5000 ms of being told to: killing it",
                           Milliseconds(0)));
  CheckOthersWentOn(server, witness);
}

TEST_CASE("CLIENT KILL of one that does as it is told kills nobody") {
  Server server;
  Connection witness = server.Connect(), victim = server.Connect();
  CHECK(witness("CLIENT", "KILL", "ID", ClientId(victim)).integer == 1);
  CHECK(victim.ClosedByServer());
  CHECK(StatOf(witness, "deaths_backend") == 0);
  CheckOthersWentOn(server, witness);
}

TEST_CASE(
    "warren kill ends a client or process: told to at first, killed when that does not help") {
  Server server({"--fault_points", "yes"});
  Connection witness = server.Connect(), victim = server.Connect(), stopped = server.Connect();
  const ProgramResult gentle = WarrenKill(server, ClientId(victim), {"--client"});
  CHECK(gentle.exit_code == 0);
  CHECK(gentle.output.find(" has ended (warren: backend ") != std::string::npos);
  CHECK(victim.ClosedByServer());
  CHECK(StatOf(witness, "deaths_backend") == 0);
  const pid_t pid = Server::BackendOf(stopped);
  REQUIRE(kill(pid, SIGSTOP) == 0);
  const ProgramResult hard = WarrenKill(server, std::to_string(pid), {"--pid", "--timeout", "0"});
  CHECK(hard.exit_code == 0);
  CHECK(hard.output.find("was killed") != std::string::npos);
  CHECK(stopped.ClosedByServer());
  CHECK(WaitUntil([&] { return StatOf(witness, "deaths_backend") == 1; }));
  CHECK(WarrenKill(server, std::to_string(getpid()), {}).exit_code == 1);
  CHECK(WarrenKill(server, std::to_string(server.pid()), {"--pid"}).exit_code == 1);
  CheckOthersWentOn(server, witness);
}

TEST_CASE("a stopped auxiliary process is continued, and killed when it is stopped again soon") {
  Server server;
  Connection witness = server.Connect();
  const pid_t pid = server.ChildTitled("warren: wal writer");
  REQUIRE(pid > 0);
  REQUIRE(kill(pid, SIGSTOP) == 0);
  REQUIRE(server.LogContains("stopped by signal 19 (SIGSTOP)"));
  REQUIRE(WaitUntil([&] { return !IsStopped(pid); }));
  REQUIRE(kill(pid, SIGSTOP) == 0);
  CHECK(server.LogContains("stopped again soon after it was continued: killing it"));
  CHECK(WaitUntil([&] {
    const pid_t now = server.ChildTitled("warren: wal writer", Milliseconds(0));
    return now > 0 && now != pid;
  }));
  CHECK(StatOf(witness, "deaths_auxiliary") == 1);
  CheckOthersWentOn(server, witness);
}

TEST_CASE("a backend that dies at its start or end costs nobody else anything") {
  Server server({"--fault_points", "yes"});
  Connection witness = server.Connect();
  int deaths = 0;
  for (const char* action : {"kill", "abort"}) {
    for (const char* point :
         {"process_start", "process_running", "session_end", "process_end", "process_exit"}) {
      CAPTURE(point);
      CHECK(witness("FAULT", "SET", point, action, "TIMES", "1", "CLIENT", "backend").ok());
      Connection victim = server.Connect();
      victim("LOCK", "held by the dead");
      victim.Close();
      ++deaths;
      REQUIRE(WaitUntil([&] { return StatOf(witness, "repairs") == deaths; }));
      CHECK(witness("TRYLOCK", "held by the dead").integer > 0);
      CHECK(witness("UNLOCK", "held by the dead").integer == 1);
    }
  }
  CHECK(StatOf(witness, "deaths_backend") == deaths);
  CheckOthersWentOn(server, witness);
}

TEST_CASE("auxiliary processes that die at their start are started until they live") {
  Server server({"--fault_points", "yes"});
  Connection witness = server.Connect();
  for (const char* kind : {"archiver", "background writer", "checkpointer", "vacuum"}) {
    REQUIRE(server.ChildTitled(std::string("warren: ") + kind) > 0);
  }
  int deaths = 0;
  for (const std::string kind : {"process monitor", "checkpointer", "wal writer", "vacuum"}) {
    for (const std::string point : {"process_running", "process_start"}) {
      CAPTURE(kind);
      CAPTURE(point);
      const int64_t starts = StartsSoFar(witness) + (point == "process_running" ? 3 : 1);
      CHECK(witness("FAULT", "SET", point, "kill", "TIMES", "2", "CLIENT", kind).ok());
      REQUIRE(WarrenKill(server, std::to_string(server.ChildTitled("warren: " + kind)), {"--pid"})
                  .exit_code == 0);
      deaths += 3;
      REQUIRE(WaitUntil([&] { return StatOf(witness, "repairs") == deaths; }));
      // The one that lives is not to come to the next point.
      REQUIRE(WaitUntil([&] { return StartsSoFar(witness) >= starts; }));
    }
  }
  REQUIRE(WaitUntil([&] { return StatOf(witness, "deaths_auxiliary") == deaths; }));
  CheckOthersWentOn(server, witness);
  CHECK(server.Stop() == 0);
}

TEST_CASE("a shutdown whose processes die at their end is a clean one all the same") {
  for (const char* point : {"process_end", "process_exit"}) {
    CAPTURE(point);
    Server server({"--fault_points", "yes"});
    CHECK(server.Command("SET", "key", "value").ok());
    CHECK(server.Command("FAULT", "SET", point, "kill", "TIMES", "3").ok());
    CHECK(server.Stop() == 0);
    CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
    server.Start();
    CHECK(server.Command("GET", "key").text == "value");
  }
}

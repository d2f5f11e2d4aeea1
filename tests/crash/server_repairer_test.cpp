// Does the server go on when the process monitor dies in a repair, and does it give up when the
// repair kills whoever tries it?
#include <algorithm>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

constexpr const char* kRepairPoints[] = {"repair_verdict", "repair_change", "repair_page",
                                         "repair_disarm",  "repair_locks",  "repair_wake",
                                         "repair_commit",  "repair_drop",   "repair_free"};

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string ClientId(Connection& connection) {
  return std::to_string(connection("CLIENT", "ID").integer);
}

bool AllCleared(Connection& connection) {
  return StatOf(connection, "repairs") ==
         StatOf(connection, "deaths_backend") + StatOf(connection, "deaths_auxiliary");
}

// Dies in the middle of `command`.
void Die(Server& server, Connection& witness, const std::string& point,
         const std::vector<std::string>& command) {
  Connection victim = server.Connect();
  REQUIRE(witness("FAULT", "SET", point, "kill", "TIMES", "1", "CLIENT", ClientId(victim)).ok());
  CHECK(victim.Send(command).closed());
}

}  // namespace

TEST_CASE("a process monitor that dies at any step of a repair has a successor who finishes it") {
  Server server({"--fault_points", "yes", "--crash_breaker_deaths", "0"});
  Connection witness = server.Connect();
  int64_t monitors = 0;
  for (const std::string point : kRepairPoints) {
    for (const bool commit : {false, true}) {
      INFO(point, commit ? " over a commit" : " over a change");
      CHECK(witness("MSET", "a", "1", "b", "1").ok());
      REQUIRE(
          witness("FAULT", "SET", point, "kill", "TIMES", "1", "CLIENT", "process monitor").ok());
      if (commit) {
        Die(server, witness, "commit_change", {"MSET", "a", "2", "b", "2"});
      } else {
        Die(server, witness, "change_apply", {"SET", "a", "2"});
      }
      // In the same leaf, and for the commit behind its locks.
      CHECK(witness("SET", "c", "2").ok());
      CHECK(witness("GET", "a").text == "2");
      CHECK(witness("GET", "b").text == (commit ? "2" : "1"));
      CHECK(WaitUntil([&] { return AllCleared(witness); }));
      // The steps with pages are not met where no change was under way.
      const bool met = StatOf(witness, "deaths_auxiliary") > monitors;
      CHECK((met || (commit && (point == "repair_page" || point == "repair_disarm"))));
      monitors += met ? 1 : 0;
      CHECK(witness("FAULT", "CLEAR").type != Reply::kError);
    }
  }
  CHECK(monitors >= 16);
  CHECK(StatOf(witness, "full_restarts") == 0);
  CHECK(StatOf(witness, "lwlock_timeouts_on_free_lock") == 0);
  CHECK(witness("CHECK").elements.at(1).elements.empty());
  CHECK(server.Stop() == 0);
}

TEST_CASE("a repair that kills whoever tries it makes all start over, and nothing is lost") {
  Server server({"--fault_points", "yes", "--crash_breaker_deaths", "0"});
  Connection witness = server.Connect();
  CHECK(witness("SET", "a", "1").ok());
  REQUIRE(witness("FAULT", "SET", "repair_locks", "kill", "CLIENT", "process monitor").ok());
  Die(server, witness, "change_apply", {"SET", "a", "2"});
  CHECK(witness.ClosedByServer());
  CHECK(server.WaitReady());
  Connection after = server.Connect();
  CHECK(StatOf(after, "full_restarts") == 1);
  CHECK(after("GET", "a").text == "2");
  CHECK(after("CHECK").elements.at(1).elements.empty());
  CHECK(server.Stop() == 0);
}

}  // namespace warren::test

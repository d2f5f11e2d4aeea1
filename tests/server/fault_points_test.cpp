// Do fault points make the right process die, hang or fail, and nobody else?
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

const std::vector<std::string> kWithFaults = {"--fault_points", "yes"};

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string ClientId(Connection& connection) {
  return std::to_string(connection("CLIENT", "ID").integer);
}

// A field of the one row that FAULT LIST has for the point.
Reply PointField(Connection& connection, const std::string& point, const std::string& field) {
  const Reply list = connection("FAULT", "LIST", point);
  if (list.elements.size() != 1) return {};
  const std::vector<Reply>& row = list.elements[0].elements;
  for (size_t i = 0; i + 1 < row.size(); i += 2) {
    if (row[i].text == field) return row[i + 1];
  }
  return {};
}

bool WaitsAtPoint(Connection& witness) {
  return witness("CLIENT", "LIST").text.find(" wait=fault_point\n") != std::string::npos;
}

// Nobody but those that were meant has noticed anything.
void CheckOthersWentOn(const Server& server, Connection& witness) {
  CHECK(witness("PING").text == "PONG");
  CHECK(StatOf(witness, "full_restarts") == 0);
  CHECK(!server.LogContains("stopping all processes", Milliseconds(0)));
}

}  // namespace

TEST_CASE("without the setting FAULT refuses, and says what is missing") {
  Server server;
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"FAULT", "SET", "log_publish", "kill"}, {"FAULT", "CLEAR"}, {"FAULT", "LIST"}}) {
    const Reply reply = server.CommandWords(words);
    CHECK(reply.is_error("ERR fault points are off"));
    CHECK(reply.text.find("fault_points yes") != std::string::npos);
  }
  CHECK(server.Command("CONFIG", "SET", "fault_points", "yes").is_error());
}

TEST_CASE("fault points and an address that other machines can reach refuse each other") {
  for (const char* bind : {"0.0.0.0", "*", "127.0.0.1 ::", "-::1 192.0.2.1"}) {
    CAPTURE(bind);
    Server server(Server::NotStarted{}, {"--fault_points", "yes", "--bind", bind});
    server.Launch();
    CHECK(server.WaitExit() == 1);
    CHECK(server.LogContains("fault_points is on, so that any client can end any process",
                             Milliseconds(0)));
  }
  Server local({"--fault_points", "yes", "--bind", "127.0.0.2 -::1 127.0.0.1"});
  CHECK(local.Stop() == 0);
}

TEST_CASE("FAULT says what it does not understand") {
  Server server(kWithFaults);
  const auto error = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"FAULT", "SET"});
    return server.CommandWords(words).text;
  };
  CHECK(error({"nowhere", "kill"}) == "ERR no fault point is named 'nowhere', see FAULT LIST");
  CHECK(error({"log_publish", "explode"}) ==
        "ERR 'explode' is no action: kill, segv, abort, hang, delay ms or error");
  CHECK(error({"log_publish", "error"})
            .starts_with("ERR nothing can fail at fault point log_publish"));
  CHECK(error({"log_publish", "kill", "times", "0"}) == "ERR '0' is not a number of 1 or more");
  CHECK(error({"log_publish", "kill", "probability", "2"}) ==
        "ERR '2' is not a probability above 0, 1 at most");
  CHECK(error({"log_publish", "kill", "client", "999999999"}) ==
        "ERR no client or process has the number 999999999");
  CHECK(error({"log_publish", "kill", "client", "me"}) ==
        "ERR 'me' is no client, process or kind of process");
  CHECK(error({"log_publish", "delay"}) == "ERR syntax error");
  CHECK(error({"log_publish", "kill", "often"}) == "ERR syntax error");
  CHECK(server.Command("FAULT", "CLEAR").integer == 0);
}

TEST_CASE("what is set is listed, counted and cleared") {
  Server server(kWithFaults);
  Connection connection = server.Connect();
  CHECK(connection("FAULT", "LIST").elements.size() > 40);
  CHECK(connection("FAULT", "LIST", "no*such").elements.empty());
  CHECK(connection("FAULT", "SET", "LOG_PUBLISH", "DELAY", "1", "TIMES", "2").ok());
  CHECK(PointField(connection, "log_publish", "set").text == "delay 1 times 2");
  for (int i = 0; i < 5; ++i) CHECK(connection("SET", "key", "value").ok());
  CHECK(PointField(connection, "log_publish", "fired").integer == 2);
  CHECK(PointField(connection, "log_publish", "hits").integer >= 5);
  CHECK(connection("FAULT", "SET", "log_copy", "hang", "CLIENT", "wal writer").ok());
  CHECK(PointField(connection, "log_copy", "set").text == "hang kind wal writer");
  CHECK(connection("FAULT", "CLEAR", "log_publish").integer == 1);
  CHECK(connection("FAULT", "CLEAR").integer == 1);
  CHECK(PointField(connection, "log_copy", "set").text == "off");
}

TEST_CASE("a killed client's half-made change is finished or taken back, and the others go on") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  struct Moment {
    std::string point;
    bool kept;  // what was being set
  };
  for (const Moment& moment : std::vector<Moment>{{"command_run", false},
                                                  {"change_arm", false},
                                                  {"log_plan", false},
                                                  {"log_publish", false},
                                                  {"change_count", true},
                                                  {"change_disarm", true}}) {
    CAPTURE(moment.point);
    CHECK(witness("SET", "key", "before").ok());
    Connection victim = server.Connect();
    CHECK(witness("FAULT", "SET", moment.point, "kill", "TIMES", "1", "CLIENT", ClientId(victim))
              .ok());
    CHECK(victim("SET", "key", "after").closed());
    CHECK(witness("GET", "key").text == (moment.kept ? "after" : "before"));
    CHECK(PointField(witness, moment.point, "fired").integer == 1);
  }
  CHECK(server.LogContains("fault point log_publish: kill, holding", Milliseconds(0)));
  CheckOthersWentOn(server, witness);
}

TEST_CASE("an abort that the process declares clean is repaired like a kill") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  Connection victim = server.Connect();
  CHECK(witness("SET", "key", "before").ok());
  CHECK(witness("FAULT", "SET", "change_disarm", "abort", "CLIENT", ClientId(victim)).ok());
  CHECK(victim("SET", "key", "value").closed());
  CHECK(witness("GET", "key").text == "value");
  CHECK(server.LogContains("killed by signal 6 (SIGABRT), declared clean"));
  CheckOthersWentOn(server, witness);
}

TEST_CASE("an abort that nobody declared clean, and a wild access, stop all processes") {
  for (const int signal : {SIGABRT, SIGSEGV}) {
    Server server(kWithFaults);
    Connection witness = server.Connect();
    Connection victim = server.Connect();
    CHECK(victim("SET", "key", "value").ok());
    if (signal == SIGABRT) {
      REQUIRE(kill(Server::BackendOf(victim), SIGABRT) == 0);
    } else {
      CHECK(witness("FAULT", "SET", "command_run", "segv", "CLIENT", ClientId(victim)).ok());
      CHECK(victim("PING").closed());
    }
    CHECK(witness.ClosedByServer());
    REQUIRE(server.WaitReady());
    Connection after = server.Connect();
    CHECK(after("GET", "key").text == "value");
    CHECK(StatOf(after, "full_restarts") == 1);
    // Else the point would stop it again and again.
    CHECK(after("FAULT", "CLEAR").integer == 0);
  }
}

TEST_CASE("one that hangs shows where it waits, and goes on when the point is cleared") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  Connection victim = server.Connect();
  CHECK(witness("SET", "key", "before").ok());
  CHECK(witness("FAULT", "SET", "log_publish", "hang", "CLIENT", ClientId(victim)).ok());
  victim.SendRaw("SET key value\r\n");
  REQUIRE(WaitUntil([&] { return WaitsAtPoint(witness); }));
  Connection reader = server.Connect();
  reader.SendRaw("GET key\r\n");  // waits for the page
  CHECK(witness("FAULT", "CLEAR", "log_publish").integer == 1);
  CHECK(victim.Receive().ok());
  CHECK(reader.Receive().text == "value");
  CheckOthersWentOn(server, witness);
}

TEST_CASE("one that hangs outside of all locks ends when it is told to") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  Connection victim = server.Connect();
  const std::string id = ClientId(victim);
  CHECK(witness("FAULT", "SET", "command_run", "hang", "CLIENT", id).ok());
  victim.SendRaw("SET key value\r\n");
  REQUIRE(WaitUntil([&] { return WaitsAtPoint(witness); }));
  CHECK(witness("CLIENT", "KILL", "ID", id).integer == 1);
  CHECK(victim.ClosedByServer());
  CheckOthersWentOn(server, witness);
  CHECK(StatOf(witness, "deaths_backend") == 0);
}

TEST_CASE("a shutdown does not wait for those that hang") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  CHECK(witness("SET", "key", "value").ok());
  CHECK(witness("FAULT", "SET", "buffer_write", "hang", "CLIENT", "checkpointer").ok());
  Connection victim = server.Connect();
  CHECK(witness("FAULT", "SET", "log_copy", "hang", "CLIENT", ClientId(victim)).ok());
  victim.SendRaw("SET other value\r\n");
  REQUIRE(WaitUntil([&] { return WaitsAtPoint(witness); }));
  CHECK(server.Stop() == 0);
  CHECK(server.LogContains("shut down cleanly", Milliseconds(0)));
}

TEST_CASE("an error at a failing point is one that the client sees") {
  Server server(kWithFaults);
  Connection witness = server.Connect();
  CHECK(witness("SET", "key", "value").ok());
  CHECK(witness("FAULT", "SET", "buffer_write", "error", "TIMES", "1", "CLIENT", "checkpointer")
            .ok());
  CHECK(witness("CHECKPOINT").is_error());
  CHECK(server.LogContains("fault point buffer_write is set to fail"));
  CHECK(witness("FAULT", "CLEAR").integer == 1);
  CHECK(witness("CHECKPOINT").ok());
}

// Where settings come from and when they are in force, seen from outside.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

std::string ValueOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("CONFIG", "GET", name);
  return reply.elements.size() == 2 ? reply.elements[1].text : "no such setting";
}

}  // namespace

TEST_CASE("the file overrides the defaults, the command line the file") {
  TemporaryDirectory root;
  const std::string file = root.path() + "/warren.conf";
  WriteFile(file, "client_output_limit 3mb\nclient_query_limit 5mb\n");
  Server server({file, "--client_query_limit", "7mb"});
  Connection connection = server.Connect();
  CHECK(ValueOf(connection, "client_output_limit") == "3mb");
  CHECK(ValueOf(connection, "client_query_limit") == "7mb");
}

TEST_CASE("a bad value names file, line, setting and range, and nothing starts") {
  TemporaryDirectory root;
  const std::string file = root.path() + "/warren.conf";
  WriteFile(file, "# comment\nmax_connections 0\n");
  const ProgramResult bad = RunWarren({"serve", file, "--data_directory", root.path() + "/data"});
  CHECK(bad.exit_code == 1);
  CHECK(bad.output.find("warren.conf:2: max_connections: \"0\"") != std::string::npos);
  CHECK(bad.output.find("1 to 10000") != std::string::npos);
  CHECK(ReadFile(root.path() + "/data/postmaster.pid").empty());
}

TEST_CASE("SIGHUP puts a changed file in force, in sessions that are there too") {
  TemporaryDirectory root;
  const std::string file = root.path() + "/warren.conf";
  WriteFile(file, "client_output_limit 3mb\n");
  Server server({file});
  Connection connection = server.Connect();
  CHECK(ValueOf(connection, "client_output_limit") == "3mb");
  WriteFile(file, "client_output_limit 4mb\n");
  server.Signal(SIGHUP);
  CHECK(WaitUntil([&] { return ValueOf(connection, "client_output_limit") == "4mb"; }));
}

TEST_CASE("a reload of a broken file logs file and line and keeps everything") {
  TemporaryDirectory root;
  const std::string file = root.path() + "/warren.conf";
  WriteFile(file, "client_output_limit 3mb\n");
  Server server({file});
  WriteFile(file, "client_output_limit 4mb\nclient_query_limit much\n");
  server.Signal(SIGHUP);
  CHECK(server.LogContains("warren.conf:2: client_query_limit: \"much\""));
  Connection connection = server.Connect();
  CHECK(ValueOf(connection, "client_output_limit") == "3mb");
}

TEST_CASE("CONFIG SET is in force in every session when it has answered") {
  Server server;
  Connection setter = server.Connect(), other = server.Connect();
  CHECK(ValueOf(other, "client_output_limit") == "256mb");
  for (const std::string value : {"11mb", "12mb", "13mb", "14mb"}) {
    CHECK(setter("CONFIG", "SET", "client_output_limit", value).ok());
    CHECK(ValueOf(other, "client_output_limit") == value);
  }
  Connection later = server.Connect();
  CHECK(ValueOf(later, "client_output_limit") == "14mb");
}

TEST_CASE("CONFIG SET of several settings does all or none") {
  Server server;
  Connection connection = server.Connect();
  CHECK(connection("CONFIG", "SET", "client_output_limit", "11mb", "port", "1").is_error("ERR"));
  CHECK(ValueOf(connection, "client_output_limit") == "256mb");
  CHECK(connection("CONFIG", "SET", "client_output_limit", "11mb", "client_query_limit", "12mb")
            .ok());
  CHECK(ValueOf(connection, "client_query_limit") == "12mb");
}

TEST_CASE("a log file is opened again on SIGHUP, in every process") {
  TemporaryDirectory root;
  const std::string log = root.path() + "/server.log";
  Server server({"--log_file", log, "--log_format", "json"});
  Connection connection = server.Connect();
  CHECK(connection("PING").text == "PONG");
  CHECK(ReadFile(log).find("ready for connections") != std::string::npos);
  REQUIRE(rename(log.c_str(), (log + ".1").c_str()) == 0);
  server.Signal(SIGHUP);
  CHECK(WaitUntil([&] { return !ReadFile(log).empty() || access(log.c_str(), F_OK) == 0; }));
  CHECK(server.Stop() == 0);
  CHECK(ReadFile(log).find("shut down cleanly") != std::string::npos);
  CHECK(ReadFile(log).starts_with("{"));
}

// Starting, stopping, and what a data directory lets through.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

std::vector<std::string> StatusWords(const std::string& directory) {
  return {"status", "--data_directory", directory};
}

// Root may write anywhere; then a permission proves nothing.
bool IsRoot() { return geteuid() == 0; }

}  // namespace

TEST_CASE("a fast shutdown ends the sessions, exits with 0, and the next start has the data") {
  Server server;
  CHECK(server.Command("SET", "key", "value").ok());
  Connection other = server.Connect();
  CHECK(other("SELECT", "3").ok());
  CHECK(other("SET", "key", "third").ok());
  CHECK(server.Stop(SIGINT) == 0);
  CHECK(other.ClosedByServer());
  server.Start();
  CHECK(server.Command("GET", "key").text == "value");
  CHECK(server.Command("SELECT", "3").ok());
  CHECK(server.Command("GET", "key").text == "third");
  CHECK(server.Stop() == 0);
}

TEST_CASE("a smart shutdown lets nobody in and waits for the sessions that are there") {
  Server server;
  Connection session = server.Connect();
  CHECK(session("SET", "key", "1").ok());
  server.Signal(SIGTERM);
  CHECK(server.LogContains("smart shutdown"));
  CHECK(WaitUntil([&] { return !server.Connect().open(); }));
  CHECK(session("INCR", "key").integer == 2);
  CHECK(server.running());
  session.Close();
  CHECK(server.WaitExit() == 0);
  server.Start();
  CHECK(server.Command("GET", "key").text == "2");
}

TEST_CASE("a second SIGTERM makes a smart shutdown fast") {
  Server server;
  Connection session = server.Connect();
  CHECK(session("PING").text == "PONG");
  server.Signal(SIGTERM);
  CHECK(server.LogContains("smart shutdown"));
  CHECK(server.running());
  server.Signal(SIGTERM);
  CHECK(server.WaitExit() == 0);
  CHECK(session.ClosedByServer());
}

TEST_CASE("after an immediate shutdown a start recovers every acknowledged change") {
  Server server;
  for (int i = 0; i < 200; ++i) {
    CHECK(server.Command("SET", "key" + std::to_string(i), std::string(1000, 'v')).ok());
  }
  CHECK(server.Command("DEL", "key7").integer == 1);
  CHECK(server.Stop(SIGQUIT) == 0);
  const ProgramResult status = RunWarren(StatusWords(server.directory()));
  CHECK(status.exit_code == 3);
  CHECK(status.output.find("not shut down cleanly") != std::string::npos);
  server.Start();
  CHECK(server.Command("DBSIZE").integer == 199);
  CHECK(server.Command("GET", "key199").text == std::string(1000, 'v'));
}

TEST_CASE("a second server on the same directory is refused and names the first one's pid") {
  Server server;
  const ProgramResult second =
      RunWarren({"serve", "--data_directory", server.directory(), "--port",
                 std::to_string(FreePort()), "--bind", "127.0.0.1", "--shared_buffers", "8mb"});
  CHECK(second.exit_code == 1);
  CHECK(second.output.find("pid " + std::to_string(server.pid())) != std::string::npos);
  CHECK(second.output.find(server.directory()) != std::string::npos);
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("a taken port is refused and leaves the data directory clean") {
  Server first;
  Server second(Server::NotStarted{}, {"--port", std::to_string(first.port())});
  second.Launch();
  CHECK(second.WaitExit() == 1);
  CHECK(second.LogContains("127.0.0.1:" + std::to_string(first.port()), Milliseconds(0)));
  second.arguments().clear();
  second.Start();
  CHECK(second.Stop() == 0);
}

TEST_CASE("a directory that is neither empty nor Warren's is refused and left alone") {
  TemporaryDirectory foreign;
  WriteFile(foreign.path() + "/letter.txt", "dear reader");
  Server server(Server::NotStarted{}, {"--data_directory", foreign.path()});
  server.Launch();
  CHECK(server.WaitExit() == 1);
  CHECK(server.LogContains(foreign.path(), Milliseconds(0)));
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(foreign.path())) {
    ++entries;
  }
  CHECK(entries == 1);
  CHECK(ReadFile(foreign.path() + "/letter.txt") == "dear reader");
  CHECK(RunWarren({"init", foreign.path()}).exit_code == 1);
  CHECK(RunWarren(StatusWords(foreign.path())).exit_code == 4);
}

TEST_CASE("init makes a directory that serve takes, and makes none twice") {
  TemporaryDirectory root;
  const std::string directory = root.path() + "/data";
  CHECK(RunWarren({"init", directory}).exit_code == 0);
  CHECK(RunWarren({"init", "--data_directory", directory}).exit_code == 1);
  const ProgramResult status = RunWarren(StatusWords(directory));
  CHECK(status.exit_code == 3);
  CHECK(status.output.find("shut down cleanly") != std::string::npos);
  Server server({"--data_directory", directory});
  CHECK(server.Command("PING").text == "PONG");
  CHECK(server.Stop() == 0);
}

TEST_CASE("a directory in which nothing can be made is refused in one line") {
  TemporaryDirectory root;
  std::string directory = root.path() + "/data";
  if (IsRoot()) {
    directory = "/proc/warren";  // where not even root can
  } else {
    REQUIRE(chmod(root.path().c_str(), 0500) == 0);
  }
  Server server(Server::NotStarted{}, {"--data_directory", directory});
  server.Launch();
  CHECK(server.WaitExit() == 1);
  CHECK(server.LogContains(directory, Milliseconds(0)));
  REQUIRE(chmod(root.path().c_str(), 0700) == 0);
}

TEST_CASE("the data directory is open to its owner alone") {
  Server server;
  struct stat info;
  REQUIRE(stat(server.directory().c_str(), &info) == 0);
  CHECK((info.st_mode & 077) == 0);
  REQUIRE(stat((server.directory() + "/postmaster.pid").c_str(), &info) == 0);
  CHECK((info.st_mode & 077) == 0);
  CHECK(server.Stop() == 0);
  CHECK(stat((server.directory() + "/postmaster.pid").c_str(), &info) != 0);
}

TEST_CASE("stop, status and reload find the server through its directory") {
  Server server;
  Connection first = server.Connect(), second = server.Connect();
  CHECK(first("PING").text == "PONG");
  CHECK(second("PING").text == "PONG");
  ProgramResult status = RunWarren(StatusWords(server.directory()));
  CHECK(status.exit_code == 0);
  CHECK(status.output.find(std::to_string(server.pid())) != std::string::npos);
  CHECK(status.output.find("127.0.0.1:" + std::to_string(server.port())) != std::string::npos);
  CHECK(status.output.find("running\n") != std::string::npos);
  CHECK(RunWarren({"reload", "--data_directory", server.directory()}).exit_code == 0);
  CHECK(server.LogContains("reload"));
  const ProgramResult stop = RunWarren({"stop", "--data_directory", server.directory()});
  CHECK(stop.exit_code == 0);
  CHECK(stop.output.find("shut down cleanly") != std::string::npos);
  // It is gone when stop returns, not some time later.
  CHECK(server.WaitExit(Milliseconds(500)) == 0);
  CHECK(RunWarren(StatusWords(server.directory())).exit_code == 3);
  CHECK(RunWarren({"stop", "--data_directory", server.directory()}).exit_code == 3);
  CHECK(RunWarren({"reload", "--data_directory", server.directory()}).exit_code == 3);
}

TEST_CASE("stop takes every mode, and gives up when its time is over") {
  Server server;
  Connection session = server.Connect();
  CHECK(session("PING").text == "PONG");
  const auto stop = [&](const std::string& mode, const std::string& timeout) {
    return RunWarren({"stop", "--data_directory", server.directory(), "--mode", mode, "--timeout",
                      timeout})
        .exit_code;
  };
  CHECK(stop("gentle", "1") == 1);
  CHECK(server.running());
  CHECK(stop("smart", "0") == 1);
  CHECK(session("PING").text == "PONG");
  CHECK(stop("fast", "20") == 0);
  server.WaitExit();
  server.Start();
  CHECK(stop("immediate", "20") == 0);
  CHECK(server.WaitExit() == 0);
}

TEST_CASE("wrong usage exits with 1 and says what was wrong") {
  CHECK(RunWarren({}).exit_code == 1);
  CHECK(RunWarren({"dance"}).exit_code == 1);
  CHECK(RunWarren({"serve", "--no_such_setting", "1"}).exit_code == 1);
  CHECK(RunWarren({"stop", "--timeout", "soon"}).exit_code == 1);
  const ProgramResult version = RunWarren({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.output.starts_with("warren 0."));
  CHECK(RunWarren({"serve", "--help"}).output.find("--shared_buffers") != std::string::npos);
}

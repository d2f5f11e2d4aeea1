// Does `warren ipc-lab` measure, and can a program read what it found?
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;
using nlohmann::json;

namespace {

constexpr Milliseconds kLabPatience{180'000};  // one slow machine for many tests

// The report on standard output, which is followed or preceded by words on standard error.
json RunLab(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"ipc-lab", "--quick", "--json"});
  const ProgramResult result = RunWarren(arguments, kLabPatience);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const size_t begin = result.output.find("{\n");
  const size_t end = result.output.rfind("\n}\n");
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  return json::parse(result.output.substr(begin, end + 2 - begin));
}

const json& OnlyMeasurement(const json& report, const std::string& name) {
  REQUIRE(report["measurements"].size() == 1);
  const json& measurement = report["measurements"][0];
  REQUIRE(measurement["name"] == name);
  return measurement;
}

void CheckFigures(const json& measurement, const json& row) {
  CAPTURE(row.dump());
  for (const json& column : measurement["columns"]) {
    const json& figure = row["figures"][column["name"].get<std::string>()];
    CHECK(figure["min"].get<double>() <= figure["median"].get<double>());
    CHECK(figure["median"].get<double>() <= figure["max"].get<double>());
  }
}

}  // namespace

TEST_CASE("the lab's JSON has each row's figures, and marks what is oversubscribed") {
  const json report = RunLab({"--only", "latency,throughput", "--only", "pipe"});
  CHECK(report["format"] == 1);
  CHECK(report["quick"] == true);
  CHECK(report["machine"].contains("processor"));
  REQUIRE(report["measurements"].size() == 2);
  const int cpus = std::stoi(report["machine"]["processors used"].get<std::string>());
  for (const json& measurement : report["measurements"]) {
    CHECK(measurement["rows"].size() >= 2);
    for (const json& row : measurement["rows"]) {
      CHECK(row["mechanism"] == "pipe");
      CHECK(row["available"] == true);
      CHECK(row["oversubscribed"] == (row["processes"].get<int>() > cpus));
      CheckFigures(measurement, row);
    }
  }
  const json& blocking = report["measurements"][0]["rows"][1];
  CHECK(blocking["waiting"] == "blocking");
  CHECK(blocking["starting_text"] == "1.5-3 us at least");
  CHECK(blocking["figures"]["min ns"]["median"].get<double>() > 0);
}

TEST_CASE("the lab finds a plain mutex lost, a robust one torn, and an lwlock repaired") {
  const json report = RunLab({"--only", "death,mutex,robust mutex,lwlock"});
  const json& death = OnlyMeasurement(report, "death");
  REQUIRE(death["rows"].size() == 3);
  CHECK(death["rows"][0]["outcome"].get<std::string>().starts_with("nobody ever gets in"));
  CHECK(death["rows"][0]["figures"].empty());
  CHECK(death["rows"][1]["outcome"] == "torn, and the next one is told");
  CHECK(death["rows"][2]["outcome"] == "repaired");
  CheckFigures(death, death["rows"][2]);
  CHECK(report["verdict"]["sentences"].size() == 3);
}

TEST_CASE("the lab measures several producers and readers, through locks and without") {
  const json report =
      RunLab({"--only", "producers,readers,lock-free queue,lwlock queue,seqlock,rwlock"});
  REQUIRE(report["measurements"].size() == 2);
  for (const json& measurement : report["measurements"]) {
    CHECK(measurement["rows"].size() >= 8);
    for (const json& row : measurement["rows"]) CheckFigures(measurement, row);
  }
}

TEST_CASE("the lab writes plots, with pictures where gnuplot is") {
  const TemporaryDirectory directory;
  const std::string plots = directory.path() + "/plots";
  RunLab({"--only", "tax,spinlock,lock-free ring", "--plots", plots});
  CHECK(ReadFile(plots + "/tax.dat").find("\"spinlock, low contention\" ") != std::string::npos);
  CHECK(ReadFile(plots + "/tax.gp").find("set output 'tax.svg'") != std::string::npos);
  if (system("command -v gnuplot > /dev/null") == 0) {
    CHECK(ReadFile(plots + "/tax.svg").find("<svg") != std::string::npos);
    CHECK(ReadFile(plots + "/tax.png").starts_with("\x89PNG"));
  }
}

TEST_CASE("the lab refuses a name that nothing has") {
  const ProgramResult result = RunWarren({"ipc-lab", "--quick", "--only", "carrier pigeon"});
  CHECK(result.exit_code == 1);
  CHECK(result.output.find("nothing is called \"carrier pigeon\"") != std::string::npos);
}

TEST_CASE("a killed lab leaves no process behind") {
  const pid_t lab = fork();
  if (lab == 0) {
    freopen("/dev/null", "w", stdout);
    freopen("/dev/null", "w", stderr);
    execl(WARREN_BINARY, WARREN_BINARY, "ipc-lab", "--only", "latency", nullptr);
    _exit(127);
  }
  std::set<pid_t> children;
  CHECK(WaitUntil([&] {
    for (const pid_t child : ChildrenOf(lab)) children.insert(child);
    return !children.empty();
  }));
  kill(lab, SIGKILL);
  waitpid(lab, nullptr, 0);
  for (const pid_t child : children) CHECK(WaitUntil([&] { return !ProcessExists(child); }));
}

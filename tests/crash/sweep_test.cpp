// The store-prefix sweep over commands and over the inner operations of cache, log, store and lock
// table: sweep.h says what has to hold at each point.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "backend/command.h"
#include "tests/crash/sweep_commands.h"
#include "tests/crash/sweep_operations.h"

namespace warren::test {
namespace {

// A line of the table for people, where the environment says.
void Note(const Operation& operation, const SweepReport& report) {
  const std::string line =
      fmt::format("{:<44} {:>7} {:>7} {:>8} {:>8} {:>8} {:>7} {:>8}\n", operation.name,
                  report.points, report.looked_at, report.with_locks, report.taken_back,
                  report.finished, report.commits_finished, report.restarts);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  const char* path = std::getenv("WARREN_SWEEP_TABLE");
  if (path == nullptr) return;
  if (FILE* table = std::fopen(path, "a"); table != nullptr) {
    std::fputs(line.c_str(), table);
    std::fclose(table);
  }
}

void SweepOne(const Operation& operation) {
  const SweepOptions options = UsualOptions();
  INFO(operation.name, ", WARREN_TEST_SEED=", options.seed);
  const SweepReport report = Sweep(operation, options);
  Note(operation, report);
  const std::string failure = report.failure;
  CHECK_MESSAGE(failure.empty(), failure);
  CHECK(report.looked_at > 0);
}

// WARREN_SWEEP chooses operations by a part of their name.
bool IsWanted(const std::string& name) {
  const char* wanted = std::getenv("WARREN_SWEEP");
  return wanted == nullptr || name.find(wanted) != std::string::npos;
}

// Every third of the commands' sweeps, so that they can run beside each other.
void SweepCommands(size_t third) {
  const auto& sweeps = CommandSweeps();
  for (size_t i = third; i < sweeps.size(); i += 3) {
    const Operation operation = MakeOperation(sweeps[i]);
    if (IsWanted(operation.name)) SweepOne(operation);
  }
}

void SweepInnerOperations(size_t half) {
  const std::vector<Operation> operations = InnerOperations();
  for (size_t i = half; i < operations.size(); i += 2) {
    if (IsWanted(operations[i].name)) SweepOne(operations[i]);
  }
}

}  // namespace

TEST_CASE("a death at any store of a command leaves all or nothing of it: first third") {
  SweepCommands(0);
}
TEST_CASE("a death at any store of a command leaves all or nothing of it: second third") {
  SweepCommands(1);
}
TEST_CASE("a death at any store of a command leaves all or nothing of it: last third") {
  SweepCommands(2);
}

TEST_CASE("a death at any store inside cache, log, store or lock table is made good: even ones") {
  SweepInnerOperations(0);
}
TEST_CASE("a death at any store inside cache, log, store or lock table is made good: odd ones") {
  SweepInnerOperations(1);
}

TEST_CASE("each command that writes is swept") {
  std::set<std::string_view> swept;
  for (const CommandSweep& sweep : CommandSweeps()) {
    CHECK(FindCommandByName(sweep.name) != nullptr);
    swept.insert(sweep.name);
  }
  for (const CommandInfo& info : CommandTable()) {
    if ((info.flags & kWrite) == 0) continue;
    CAPTURE(info.name);
    CHECK(swept.contains(info.name));
  }
}

}  // namespace warren::test

// Would the sweeps notice if a step of a repair were missing, or a rule of order broken?
//
// Each row is a bug that the preset `sweep` holds (base/seeded_bug.h) and the operation whose sweep
// has to find it. README.md has the list of the bugs that no sweep can see, with their reasons.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/crash/sweep_commands.h"
#include "tests/crash/sweep_operations.h"

namespace warren::test {
namespace {

struct Mutant {
  const char* bug;
  const char* operation;
};

constexpr Mutant kMutants[] = {
    // Steps of the repair that are not made.
    {"no_verdict", "set: after another change"},
    {"verdict_after_change", "set: after another change"},
    {"counts_not_stored", "set: a new key"},
    {"commit_not_judged", "mset"},
    {"commits_not_recounted", "mset"},
    {"reserves_not_recounted", "mset"},
    {"change_left_as_it_is", "set"},
    {"image_not_restored", "set: a leaf that splits"},
    {"record_not_applied_again", "set"},
    {"cut_not_judged", "vacuum: the file's free end is cut off"},
    {"flushers_not_woken", "begin"},
    {"woken_only_if_held", "set"},
    {"reader_bit_stays", "get: a key whose time has come"},
    {"repair_not_called", "cache: changed pages go to the file first"},
    {"chains_not_relinked", "cache: changed pages go to the file first"},
    {"entries_not_relinked", "lock"},
    {"flush_lock_not_repaired", "log: a flush of several changes"},
    {"entries_stay", "lock"},
    {"commit_not_finished", "mset"},
    {"reserve_stays", "mset"},
    // Stores in another order.
    {"end_not_zeroed", "set: after another change"},
    {"armed_too_early", "set: after another change"},
    {"disarmed_too_early", "set"},
    {"end_planned_too_late", "set"},
    {"commit_place_too_late", "mset"},
    {"held_too_late", "set"},
    {"clean_too_early", "cache: the background writer's round"},
    {"valid_too_early", "cache: pages are read in, clean ones go"},
    {"waking_not_noted", "locks: one that another waits for is let go"},
};

std::vector<Operation> AllOperations() {
  std::vector<Operation> all = InnerOperations();
  for (const CommandSweep& sweep : CommandSweeps()) all.push_back(MakeOperation(sweep));
  return all;
}

}  // namespace

TEST_CASE("each bug in a repair or in an order of stores is found by a sweep") {
  const std::vector<Operation> operations = AllOperations();
  for (const Mutant& mutant : kMutants) {
    const auto operation = std::ranges::find(operations, mutant.operation, &Operation::name);
    REQUIRE_MESSAGE(operation != operations.end(), mutant.operation);
    const SweepReport report =
        Sweep(*operation, {.points = 0, .seed = 1, .restart_every = 1, .bug = mutant.bug});
    const std::string failure = report.failure;
    std::printf("%-26s %s: %s\n", mutant.bug, mutant.operation, failure.c_str());
    std::fflush(stdout);
    CHECK_MESSAGE(!failure.empty(), mutant.bug);
  }
}

}  // namespace warren::test

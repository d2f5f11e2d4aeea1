// Does every scenario go as its file says, and does the player notice when one doesn't?
//
// WARREN_SCENARIO names the one to play (ctest has a test for each); without it all are played.
// WARREN_TEST_SEED chooses the interleavings again that were played.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/isolation/player.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

std::string Directory() { return WARREN_SOURCE_DIR "/tests/isolation/scenarios"; }

Scenario Load(const std::string& name) {
  return Scenario::Parse(name, ReadFile(Directory() + "/" + name + ".scenario"));
}

std::vector<std::string> ChosenNames() {
  if (const char* chosen = std::getenv("WARREN_SCENARIO")) return {chosen};
  std::vector<std::string> names;
  for (const std::string& file : ListDirectory(Directory())) {
    if (file.ends_with(".scenario")) names.push_back(file.substr(0, file.rfind('.')));
  }
  std::ranges::sort(names);
  return names;
}

size_t InterleavingCount() { return FullForm() ? 5000 : 60; }

void Play(Stage& stage, const Scenario& scenario) {
  CAPTURE(scenario.name);
  CAPTURE(scenario.about);
  CAPTURE(stage.is_redis());
  for (const Order& order : scenario.orders) {
    const std::string problem = PlayOrder(stage, scenario, order);
    CHECK_MESSAGE(problem.empty(), problem);
  }
  if (!scenario.every_order) return;
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  const std::string problem = PlayEveryOrder(stage, scenario, InterleavingCount(), seed);
  CHECK_MESSAGE(problem.empty(), problem);
}

}  // namespace

// Left out where tests are listed: ctest has one for each file.
TEST_CASE("each scenario goes as its file says" * doctest::skip()) {
  for (const std::string& name : ChosenNames()) {
    const Scenario scenario = Load(name);
    Stage stage(scenario.settings);
    Play(stage, scenario);
  }
}

TEST_CASE("what scenarios say of MULTI and WATCH is what redis-server does") {
  const auto redis = RedisOrSkip();
  if (!redis) return;
  Stage stage(*redis);
  for (const std::string& name : ChosenNames()) {
    const Scenario scenario = Load(name);
    if (scenario.holds_on_redis) Play(stage, scenario);
  }
}

}  // namespace warren::test

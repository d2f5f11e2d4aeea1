// Which rule is broken on purpose, to see that the tests notice?
//
// WARREN_SEEDED_BUG(name) is false in every program but those that only tests start: warren_seeded
// (tests/isolation/seeded_bug_test.cpp) and what the preset `sweep` builds (tests/crash/README.md).
// There the environment variable WARREN_SEEDED_BUG names the rule that is broken, from the first
// question on.
#pragma once

#ifdef WARREN_SEEDED_BUGS
#include <cstdlib>
#include <string_view>

namespace warren {

inline bool SeededBugIs(std::string_view name) {
  static const char* const chosen = std::getenv("WARREN_SEEDED_BUG");
  return chosen != nullptr && name == chosen;
}

}  // namespace warren

#define WARREN_SEEDED_BUG(name) ::warren::SeededBugIs(#name)
#else
#define WARREN_SEEDED_BUG(name) false
#endif

// Which rule is broken on purpose, to see that the tests notice?
//
// WARREN_SEEDED_BUG(name) is false in every program but warren_seeded, which only tests start
// (tests/isolation/seeded_bug_test.cpp): there the environment variable WARREN_SEEDED_BUG names the
// rule that is broken.
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

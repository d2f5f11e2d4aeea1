// How long does a test run, and with which choices of chance?
//
// WARREN_TEST_FULL=1: long. WARREN_TEST_SEED repeats a run as far as the scheduler lets it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string_view>

namespace warren::test {

inline bool FullForm() {
  const char* full = std::getenv("WARREN_TEST_FULL");
  return full != nullptr && std::string_view(full) == "1";
}

inline uint64_t TestSeed() {
  const char* given = std::getenv("WARREN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

// Runs `run(number)` for each of so many rounds, then further ones until `enough()`: a machine that
// is busy with other things lets little happen in each. False if even those did not suffice.
template <typename Run, typename Enough>
bool RunRounds(uint64_t rounds, Run run, Enough enough) {
  constexpr uint64_t kMostFurther = 20;
  for (uint64_t number = 0; number < rounds || (!enough() && number < rounds + kMostFurther);
       ++number) {
    run(number);
  }
  return enough();
}

}  // namespace warren::test

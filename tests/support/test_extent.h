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

}  // namespace warren::test

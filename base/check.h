// What happens when an invariant is broken?
//
// CHECK stays on in release builds: it logs the condition and both operands' text and aborts this
// process. DCHECK is for conditions too costly for release; it is on in debug builds only.
#pragma once

#include <fmt/format.h>

#include <string_view>

#ifdef DOCTEST_LIBRARY_INCLUDED
#error \
    "include <doctest/doctest.h> after the server's headers: its CHECK then holds in the test only"
#endif

namespace warren {

// Logs `file:line: check failed: condition: message` and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message);

}  // namespace warren

#define CHECK(condition, ...)                                                               \
  do {                                                                                      \
    if (__builtin_expect(!(condition), 0))                                                  \
      ::warren::CheckFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition, ...)       \
  do {                               \
    if (false) {                     \
      CHECK(condition, __VA_ARGS__); \
    }                                \
  } while (false)
#else
#define DCHECK(condition, ...) CHECK(condition, __VA_ARGS__)
#endif

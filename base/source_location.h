// Where in the source was a function called from?
//
// std::source_location does not exist under clang 14 with libstdc++.
#pragma once

#include <cstdint>

namespace warren {

// As a default argument, `SourceLocation where = SourceLocation::current()`: the caller's place.
class SourceLocation {
 public:
  constexpr SourceLocation() = default;
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          uint32_t line = __builtin_LINE()) {
    SourceLocation location;
    location.file_ = file;
    location.line_ = line;
    return location;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr uint32_t line() const { return line_; }

 private:
  const char* file_ = "";
  uint32_t line_ = 0;
};

}  // namespace warren

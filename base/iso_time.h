// How are moments written for people and read from them?
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace warren {

// "2031-02-03T04:05:06.789012Z"
std::string FormatUtc(int64_t wall_clock_us);

// The same, with a blank instead of the T, fewer digits or none behind the seconds, and an offset
// ("+01:00") or nothing (this machine's time zone) instead of the Z. Or seconds since 1970.
Result<int64_t> ParseTime(std::string_view text);

}  // namespace warren

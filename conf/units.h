// How are amounts with units read and written?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warren {

// A plain decimal number without sign that fits int64_t.
std::optional<int64_t> ParseNumber(std::string_view text);

// "128mb": b; k, m, g, t count thousands, kb, mb, gb, tb count 1024s; without a unit bytes.
// Letters' case is free. None if the text is not a size or does not fit.
std::optional<int64_t> ParseSize(std::string_view text);

// "200ms": us, ms, s, min, h, d; without a unit `bare_ms` each. In milliseconds; none if the text
// is not a duration, does not fit, or is not a whole number of milliseconds.
std::optional<int64_t> ParseDuration(std::string_view text, int64_t bare_ms);

// In the largest unit of which it is a whole number: "1536kb", "90s", "0".
std::string FormatSize(int64_t bytes);
std::string FormatDuration(int64_t ms);

}  // namespace warren

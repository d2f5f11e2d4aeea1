#include "base/iso_time.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>

namespace warren {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

Error NotATime(std::string_view text) {
  return MakeError(
      ErrorCode::kGeneric,
      "\"{}\" is not a time: 2031-02-03 04:05:06[.789][Z|+01:00] or seconds since 1970", text);
}

// Takes ".789" off the front; 0 if there is none.
int64_t TakeFraction(const char** at) {
  if (**at != '.') return 0;
  int64_t us = 0;
  int64_t unit = kSecondUs / 10;
  for (++*at; **at >= '0' && **at <= '9'; ++*at, unit /= 10) us += (**at - '0') * unit;
  return us;
}

// Seconds east of Greenwich, nothing for this machine's zone; fails if it is none of these.
Result<std::optional<int64_t>> ParseZone(std::string_view zone, std::string_view text) {
  if (zone.empty()) return std::optional<int64_t>();
  if (zone == "Z" || zone == "z") return std::optional<int64_t>(0);
  int hours = 0;
  int minutes = 0;
  char rest = 0;
  const std::string terminated(zone.substr(1));
  const int fields = std::sscanf(terminated.c_str(), "%2d:%2d%c", &hours, &minutes, &rest);
  if ((zone[0] != '+' && zone[0] != '-') || fields != 2) return NotATime(text);
  const int64_t offset = hours * 3600 + minutes * 60;
  return std::optional<int64_t>(zone[0] == '-' ? -offset : offset);
}

std::optional<int64_t> ParseSeconds(const std::string& text) {
  if (text.find_first_not_of("0123456789.") != std::string::npos) return {};
  char* end = nullptr;
  const int64_t seconds = std::strtoll(text.c_str(), &end, 10);
  if (end == text.c_str()) return {};
  const char* at = end;
  const int64_t us = TakeFraction(&at);
  if (*at != 0 || seconds > INT64_MAX / kSecondUs - 1) return {};
  return seconds * kSecondUs + us;
}

}  // namespace

std::string FormatUtc(int64_t wall_clock_us) {
  const time_t seconds = wall_clock_us / kSecondUs;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:06}Z", text, wall_clock_us % kSecondUs);
}

Result<int64_t> ParseTime(std::string_view view) {
  const std::string text(view);
  if (const std::optional<int64_t> us = ParseSeconds(text)) return *us;
  tm parts{};
  const char* at = nullptr;
  for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"}) {
    parts = {};
    at = strptime(text.c_str(), format, &parts);
    if (at != nullptr) break;
  }
  if (at == nullptr) return NotATime(text);
  const int64_t fraction_us = TakeFraction(&at);
  ASSIGN_OR_RETURN(const std::optional<int64_t> zone, ParseZone(at, text));
  parts.tm_isdst = -1;
  const int64_t seconds = zone ? timegm(&parts) - *zone : mktime(&parts);
  return seconds * kSecondUs + fraction_us;
}

}  // namespace warren

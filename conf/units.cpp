#include "conf/units.h"

#include <fmt/format.h>

#include <charconv>
#include <span>

#include "base/ascii.h"
#include "conf/settings.h"

namespace warren {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

// Largest first; the ones that are written come before the ones that are only read.
constexpr Unit kSizeUnits[] = {
    {"tb", kTiB},         {"gb", kGiB},      {"mb", kMiB},   {"kb", kKiB}, {"b", 1},
    {"t", 1000000000000}, {"g", 1000000000}, {"m", 1000000}, {"k", 1000},
};

constexpr Unit kDurationUnitsUs[] = {
    {"d", kDayMs * 1000},    {"h", kHourMs * 1000}, {"min", kMinuteMs * 1000},
    {"s", kSecondMs * 1000}, {"ms", 1000},          {"us", 1},
};

// `text` as number and unit, or none. A missing unit counts `bare`.
std::optional<int64_t> ParseAmount(std::string_view text, std::span<const Unit> units,
                                   int64_t bare) {
  const size_t digits = text.find_first_not_of("0123456789");
  const auto number = ParseNumber(text.substr(0, digits));
  if (!number) return std::nullopt;
  int64_t factor = digits == std::string_view::npos ? bare : 0;
  for (const Unit& unit : units) {
    if (factor == 0 && EqualsIgnoreCase(text.substr(digits), unit.name)) factor = unit.factor;
  }
  int64_t amount = 0;
  if (factor == 0 || __builtin_mul_overflow(*number, factor, &amount)) return std::nullopt;
  return amount;
}

std::string FormatAmount(int64_t amount, std::span<const Unit> units) {
  if (amount == 0) return "0";
  for (const Unit& unit : units) {
    if (amount % unit.factor == 0) return fmt::format("{}{}", amount / unit.factor, unit.name);
  }
  return fmt::format("{}", amount);
}

}  // namespace

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  if (text.empty() || text[0] == '-') return std::nullopt;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

std::optional<int64_t> ParseSize(std::string_view text) { return ParseAmount(text, kSizeUnits, 1); }

std::optional<int64_t> ParseDuration(std::string_view text, int64_t bare_ms) {
  const auto us = ParseAmount(text, kDurationUnitsUs, bare_ms * 1000);
  if (!us || *us % 1000 != 0) return std::nullopt;
  return *us / 1000;
}

std::string FormatSize(int64_t bytes) {
  return FormatAmount(bytes, std::span(kSizeUnits).first(5));
}

std::string FormatDuration(int64_t ms) { return FormatAmount(ms * 1000, kDurationUnitsUs); }

}  // namespace warren

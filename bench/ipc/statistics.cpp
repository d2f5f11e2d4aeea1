#include "bench/ipc/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace warren::ipc {

int64_t Percentile(std::span<const int64_t> sorted, double percent) {
  CHECK(!sorted.empty());
  const auto rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  const auto index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

double Median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double Spread::Relative() const { return median == 0 ? 0 : (most - least) / 2 / median; }

Spread MakeSpread(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {Median(values), *least, *most};
}

std::string FormatNumber(double value, int decimals) {
  const std::string digits = fmt::format("{:.{}f}", std::abs(value), decimals);
  const size_t point = std::min(digits.find('.'), digits.size());
  std::string text = value < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < point && (point - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string FormatSpread(const Spread& spread, int decimals) {
  const std::string median = FormatNumber(spread.median, decimals);
  // A part of what is shown as nothing would be any number.
  if (median == FormatNumber(0, decimals)) return median;
  return fmt::format("{} ±{:.0f}%", median, std::abs(spread.Relative()) * 100);
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 4> kUnits = {"B", "KiB", "MiB", "GiB"};
  size_t unit = 0;
  for (; unit + 1 < kUnits.size() && bytes >= 1024 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

}  // namespace warren::ipc

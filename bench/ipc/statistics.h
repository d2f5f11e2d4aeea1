// What do many measured values say?
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace warren::ipc {

// The value below which `percent` of them lie, by rank (no interpolation): Percentile(v, 0) is the
// least, 100 the largest. `sorted` is ascending and not empty.
int64_t Percentile(std::span<const int64_t> sorted, double percent);

// Of an even number the mean of the two in the middle. Not of none.
double Median(std::vector<double> values);

// One figure, measured in several rounds.
struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;

  // Half the distance between the extremes, as a part of the median; 0 for a median of 0.
  double Relative() const;
};
Spread MakeSpread(const std::vector<double>& values);

// "1,234", with `decimals` places; and with its spread, "1,234 ±5%".
std::string FormatNumber(double value, int decimals);
std::string FormatSpread(const Spread& spread, int decimals);

// "64 B", "4 KiB", "1 MiB".
std::string FormatBytes(uint64_t bytes);

}  // namespace warren::ipc

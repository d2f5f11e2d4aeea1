#include "bench/ipc/statistics.h"

#include <doctest/doctest.h>

#include <array>

using namespace warren::ipc;

TEST_CASE("a percentile is the value at its rank, the extremes included") {
  const std::array<int64_t, 5> sorted = {10, 20, 30, 40, 1000};
  CHECK(Percentile(sorted, 0) == 10);
  CHECK(Percentile(sorted, 20) == 10);
  CHECK(Percentile(sorted, 50) == 30);
  CHECK(Percentile(sorted, 80) == 40);
  CHECK(Percentile(sorted, 80.1) == 1000);
  CHECK(Percentile(sorted, 99) == 1000);
  CHECK(Percentile(sorted, 100) == 1000);
  CHECK(Percentile(std::array<int64_t, 1>{7}, 99) == 7);
}

TEST_CASE("a median does not depend on the order, and lies between the two in the middle") {
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 3, 2}) == 2.5);
  CHECK(Median({5}) == 5);
}

TEST_CASE("a spread has the extremes, and half of their distance beside the median") {
  const Spread spread = MakeSpread({110, 90, 100});
  CHECK(spread.median == 100);
  CHECK(spread.least == 90);
  CHECK(spread.most == 110);
  CHECK(spread.Relative() == doctest::Approx(0.1));
  CHECK(MakeSpread({0, 0}).Relative() == 0);
}

TEST_CASE("numbers are shown for people") {
  CHECK(FormatNumber(0, 0) == "0");
  CHECK(FormatNumber(999, 0) == "999");
  CHECK(FormatNumber(1000, 0) == "1,000");
  CHECK(FormatNumber(1234567.891, 2) == "1,234,567.89");
  CHECK(FormatNumber(-1234, 0) == "-1,234");
  CHECK(FormatSpread({.median = 1000, .least = 900, .most = 1100}, 0) == "1,000 ±10%");
  CHECK(FormatSpread({.median = 0.001, .least = 0, .most = 1}, 2) == "0.00");
  CHECK(FormatBytes(64) == "64 B");
  CHECK(FormatBytes(4096) == "4 KiB");
  CHECK(FormatBytes(8 << 20) == "8 MiB");
  CHECK(FormatBytes(1025) == "1025 B");
}

// What does a measurement consist of, and what comes out of it?
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/ipc/statistics.h"

namespace warren::ipc {

// How much of everything is measured.
struct Effort {
  bool quick = false;
  int rounds = 5;
  uint32_t Scaled(uint32_t full, uint32_t quick_divisor) const {
    return quick ? full / quick_divisor : full;
  }
};

enum class Better { kLess, kMore, kNeither };

struct Column {
  std::string name;
  std::string unit;
  int decimals = 0;
  Better better = Better::kNeither;
};

// What one run of one row yields: a value for each column, or why there can be none.
struct Sample {
  std::vector<double> values;  // may be none if there is an outcome
  std::string outcome;         // where it is in words: what became of the data
  std::string unavailable;     // the mechanism is not to be had here
};

// A row of a measurement's table.
struct Row {
  std::string mechanism;  // plain name: "pipe"
  std::string variant;    // "blocking", "4 KiB", ...
  double at = 0;          // the variant as a number, where plots need one
  int processes = 2;      // that run at once
  std::string reference;  // what the starting text says of it; empty: nothing
  bool oversubscribed = false;
  std::string unavailable;
  std::string outcome;
  std::vector<Spread> figures;  // one for each column, or none
};

// A row and how to measure it once. An error fails the lab: a message was lost, say.
struct Trial {
  Row row;
  std::function<Result<Sample>()> run;
};

enum class PlotKind {
  kBars,   // a bar for each row
  kLines,  // a line for each mechanism, over `at`
};

struct PlotInfo {
  PlotKind kind = PlotKind::kBars;
  size_t column = 0;
  bool log_x = false;  // a power of two each
  bool log_y = false;
  std::string_view x_label;
};

struct Measurement {
  std::string name;
  std::string title;
  std::vector<std::string> notes;  // how to read it
  std::string variant_name;        // head of the variants' column
  std::vector<Column> columns;
  PlotInfo plot;
  std::vector<Row> rows;
};

// A measurement as it is planned: the seven of them are listed in measurements.h.
struct Plan {
  Measurement measurement;  // without rows
  std::vector<Trial> trials;
};

// Runs all trials round by round, so that what else the machine does falls on all of them alike,
// and fills the rows. `progress` hears of each.
Result<Measurement> RunPlan(const Plan& plan, int rounds,
                            const std::function<void(const Row&, int round)>& progress);

}  // namespace warren::ipc

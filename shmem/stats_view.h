// Under which names are the counters shown, and what does each mean?
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace warren {

struct Statistic {
  std::string name;
  std::string_view unit;
  std::string help;
  std::function<uint64_t()> read;  // the sum over all processes since the last reset
};

// Every counter but those per command: the named ones, error replies by kind, LWLocks by tranche.
// In the order of their tables.
std::vector<Statistic> AllStatistics();

// docs/statistics.md.
std::string StatisticsMarkdown();

}  // namespace warren

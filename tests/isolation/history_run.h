// One run of many random clients against a server, with faults going on: what do their records
// show?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/isolation/history_checker.h"
#include "tests/isolation/random_client.h"

namespace warren::test {

struct HistoryRun {
  int clients = 8;
  Milliseconds duration{1500};
  size_t elements = 0;  // that each list has from the beginning on
  bool spread = false;  // the keys lie on several pages
  Faults faults = {};
};

struct HistoryResult {
  RunResult run;
  std::vector<Anomaly> anomalies;
  size_t committed = 0, aborted = 0, unknown = 0;

  bool clean() const { return run.problems.empty() && anomalies.empty(); }
  std::string text() const;
};

HistoryResult RunHistory(Server& server, const HistoryRun& run, uint64_t seed);

}  // namespace warren::test

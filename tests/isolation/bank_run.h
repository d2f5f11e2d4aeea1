// One run of the bank: many clients, and what they counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/isolation/random_client.h"

namespace warren::test {

struct BankRun {
  int clients = 8;
  Milliseconds duration{1500};
  Faults faults = {};
};

struct BankResult {
  RunResult run;
  std::vector<std::string> findings;
  uint64_t transfers = 0, counts = 0;

  bool clean() const { return run.problems.empty() && findings.empty(); }
  std::string text() const;
};

BankResult RunBank(Server& server, const BankRun& run, uint64_t seed);

}  // namespace warren::test

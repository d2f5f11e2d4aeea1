// Which mechanism wins on this machine, for which size and which rate?
//
// Computed from the measured figures alone. Rows with more processes than processors take no part.
#pragma once

#include <string>
#include <vector>

#include "bench/ipc/figures.h"

namespace warren::ipc {

struct Verdict {
  // Heads, then rows: the decision table. Empty if what it needs was not measured.
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> table;
  std::vector<std::string> sentences;
};

Verdict ComputeVerdict(const std::vector<Measurement>& measured);

// The least `at` from which on, up to the largest, `challenger` is at least as good as `incumbent`
// in `column`; negative if there is none. Rows that take no part are passed over.
double CrossOver(const Measurement& measurement, const std::string& incumbent,
                 const std::string& challenger, size_t column);

}  // namespace warren::ipc

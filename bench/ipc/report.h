// How are the figures shown: to people as tables, to programs as JSON?
#pragma once

#include <string>
#include <vector>

#include "bench/ipc/figures.h"
#include "bench/ipc/machine.h"
#include "bench/ipc/verdict.h"

namespace warren::ipc {

struct Report {
  Machine machine;
  int rounds = 0;
  bool quick = false;
  std::vector<Measurement> measured;
  Verdict verdict;
};

std::string MachineText(const Report& report);
std::string MeasurementText(const Measurement& measurement);
std::string VerdictText(const Verdict& verdict);

std::string ReportJson(const Report& report);

}  // namespace warren::ipc

#include "bench/ipc/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/ipc/measurements.h"

namespace warren::ipc {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

std::vector<Plan> AllPlans(const Effort& effort) {
  std::vector<Plan> plans;
  for (const MeasurementKind& kind : kMeasurements) plans.push_back(kind.plan(effort));
  return plans;
}

}  // namespace

Result<std::vector<Plan>> SelectPlans(const Effort& effort, const std::vector<std::string>& only) {
  std::vector<Plan> plans = AllPlans(effort);
  std::set<std::string> measurements;
  std::set<std::string> mechanisms;
  for (const Plan& plan : plans) {
    measurements.insert(plan.measurement.name);
    for (const Trial& trial : plan.trials) mechanisms.insert(trial.row.mechanism);
  }
  std::set<std::string> wanted_measurements;
  std::set<std::string> wanted_mechanisms;
  for (const std::string& word : only) {
    const std::string name = Lower(word);
    if (measurements.contains(name)) {
      wanted_measurements.insert(name);
    } else if (mechanisms.contains(name)) {
      wanted_mechanisms.insert(name);
    } else {
      return MakeError(ErrorCode::kGeneric,
                       "--only: nothing is called \"{}\"; measurements: {}; mechanisms: {}", word,
                       fmt::join(measurements, ", "), fmt::join(mechanisms, ", "));
    }
  }
  std::erase_if(plans, [&](const Plan& plan) {
    return !wanted_measurements.empty() && !wanted_measurements.contains(plan.measurement.name);
  });
  for (Plan& plan : plans) {
    std::erase_if(plan.trials, [&](const Trial& trial) {
      return !wanted_mechanisms.empty() && !wanted_mechanisms.contains(trial.row.mechanism);
    });
  }
  std::erase_if(plans, [](const Plan& plan) { return plan.trials.empty(); });
  if (plans.empty()) return MakeError(ErrorCode::kGeneric, "--only: nothing has all of that");
  return plans;
}

}  // namespace warren::ipc

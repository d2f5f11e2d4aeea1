#include "bench/ipc/figures.h"

#include "base/check.h"
#include "bench/ipc/pinning.h"

namespace warren::ipc {
namespace {

// None if no sample has values.
std::vector<Spread> SpreadsOf(const std::vector<Sample>& samples, size_t columns) {
  std::vector<Spread> spreads;
  for (size_t column = 0; column < columns; ++column) {
    std::vector<double> values;
    for (const Sample& sample : samples) {
      if (!sample.values.empty()) values.push_back(sample.values[column]);
    }
    if (!values.empty()) spreads.push_back(MakeSpread(values));
  }
  return spreads;
}

std::string OutcomeOf(const std::vector<Sample>& samples) {
  std::string outcome;
  for (const Sample& sample : samples) {
    if (outcome.empty()) outcome = sample.outcome;
    if (sample.outcome != outcome) outcome = "not always the same";
  }
  return outcome;
}

}  // namespace

Result<Measurement> RunPlan(const Plan& plan, int rounds,
                            const std::function<void(const Row&, int round)>& progress) {
  Measurement done = plan.measurement;
  std::vector<std::vector<Sample>> samples(plan.trials.size());
  std::vector<std::string> unavailable(plan.trials.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < plan.trials.size(); ++i) {
      const Trial& trial = plan.trials[i];
      if (!unavailable[i].empty()) continue;
      progress(trial.row, round);
      Result<Sample> sample = trial.run();
      if (!sample.ok()) {
        return MakeError(ErrorCode::kGeneric, "{}: {}, {}: {}", done.name, trial.row.mechanism,
                         trial.row.variant, sample.error().message);
      }
      unavailable[i] = sample->unavailable;
      if (!unavailable[i].empty()) continue;
      CHECK(sample->values.size() == done.columns.size() ||
                (sample->values.empty() && !sample->outcome.empty()),
            "{}", trial.row.mechanism);
      samples[i].push_back(std::move(sample).value());
    }
  }
  for (size_t i = 0; i < plan.trials.size(); ++i) {
    Row row = plan.trials[i].row;
    row.oversubscribed = Oversubscribed(row.processes);
    row.unavailable = unavailable[i];
    if (row.unavailable.empty()) {
      row.figures = SpreadsOf(samples[i], done.columns.size());
      row.outcome = OutcomeOf(samples[i]);
    }
    done.rows.push_back(std::move(row));
  }
  return done;
}

}  // namespace warren::ipc

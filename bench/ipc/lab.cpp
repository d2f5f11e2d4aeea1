#include "bench/ipc/lab.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "bench/ipc/figures.h"
#include "bench/ipc/plots.h"
#include "bench/ipc/report.h"
#include "bench/ipc/selection.h"

namespace warren::ipc {
namespace {

// One line that is written again and again on a terminal; one line for each measurement elsewhere.
class ProgressLine {
 public:
  ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(const std::string& measurement, const Row& row, int round, int rounds) {
    if (terminal_) {
      fmt::print(stderr, "\r\033[K{}, round {} of {}: {}, {}", measurement, round + 1, rounds,
                 row.mechanism, row.variant);
    } else if (measurement != last_) {
      fmt::print(stderr, "measuring: {}\n", measurement);
      last_ = measurement;
    }
    std::fflush(stderr);
  }
  void Clear() {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool terminal_;
  std::string last_;
};

Result<Report> MeasureAll(const LabOptions& options) {
  Report report;
  const Effort effort = {.quick = options.quick, .rounds = options.quick ? 3 : 5};
  ASSIGN_OR_RETURN(const std::vector<Plan> plans, SelectPlans(effort, options.only));
  report.machine = DescribeMachine();
  report.rounds = effort.rounds;
  report.quick = options.quick;
  if (!options.json) fmt::print("{}", MachineText(report));
  ProgressLine line;
  for (const Plan& plan : plans) {
    const auto progress = [&](const Row& row, int round) {
      line.Show(plan.measurement.name, row, round, effort.rounds);
    };
    ASSIGN_OR_RETURN(Measurement done, RunPlan(plan, effort.rounds, progress));
    line.Clear();
    if (!options.json) fmt::print("\n{}", MeasurementText(done));
    std::fflush(stdout);
    report.measured.push_back(std::move(done));
  }
  report.verdict = ComputeVerdict(report.measured);
  return report;
}

int Fail(const Error& error) {
  fmt::print(stderr, "warren: ipc-lab: {}\n", error.message);
  return 1;
}

}  // namespace

int RunIpcLab(const LabOptions& options) {
  const Result<Report> report = MeasureAll(options);
  if (!report.ok()) return Fail(report.error());
  if (options.json) {
    fmt::print("{}", ReportJson(*report));
  } else {
    fmt::print("\n{}", VerdictText(report->verdict));
  }
  if (options.plots.empty()) return 0;
  const Result<std::string> plots = WritePlots(report->measured, options.plots);
  if (!plots.ok()) return Fail(plots.error());
  fmt::print(stderr, "{}\n", *plots);
  return 0;
}

}  // namespace warren::ipc

#include "bench/ipc/verdict.h"

#include <doctest/doctest.h>

#include "bench/ipc/measurements.h"
#include "bench/ipc/plots.h"
#include "bench/ipc/report.h"
#include "bench/ipc/selection.h"

using namespace warren;
using namespace warren::ipc;

namespace {

Row MakeRow(std::string mechanism, std::string variant, double at, std::vector<double> values) {
  Row row;
  row.mechanism = std::move(mechanism);
  row.variant = std::move(variant);
  row.at = at;
  for (const double value : values) row.figures.push_back({value, value, value});
  return row;
}

Measurement MakeMeasurement(const char* name, std::vector<Row> rows) {
  const auto plans = SelectPlans({.quick = true, .rounds = 1}, {name});
  Measurement measurement = plans.value().at(0).measurement;
  measurement.rows = std::move(rows);
  return measurement;
}

// Frames per second of both, for sizes 1, 2, 4, 8.
Measurement Hybrid(std::vector<double> socket, std::vector<double> pool) {
  std::vector<Row> rows;
  for (size_t i = 0; i < socket.size(); ++i) {
    const double at = 1 << i;
    rows.push_back(MakeRow("unix socket", "", at, {socket[i], 0, 0}));
    rows.push_back(MakeRow("shared pool + unix socket", "", at, {pool[i], 0, 0}));
  }
  return MakeMeasurement("hybrid", rows);
}

double From(const Measurement& hybrid) {
  return CrossOver(hybrid, "unix socket", "shared pool + unix socket", 0);
}

bool Says(const Verdict& verdict, const std::string& sentence) {
  for (const std::string& said : verdict.sentences) {
    if (said == sentence) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the cross-over is where the challenger begins to win for good") {
  CHECK(From(Hybrid({9, 9, 9, 9}, {1, 8, 9, 20})) == 4);
  CHECK(From(Hybrid({9, 9, 9, 9}, {10, 10, 10, 10})) == 1);
  CHECK(From(Hybrid({9, 9, 9, 9}, {10, 1, 10, 10})) == 4);  // a win in between does not count
  CHECK(From(Hybrid({9, 9, 9, 9}, {10, 10, 10, 1})) < 0);
}

TEST_CASE("the decision table prefers those that sleep, then little processor time") {
  const std::vector<Row> rows = {
      MakeRow("not sent", "4 KiB", 4096, {9e9, 1, 0}),
      MakeRow("spsc ring", "4 KiB", 4096, {2e6, 10, 0}),
      MakeRow("by reference", "4 KiB", 4096, {3e6, 20, 0}),
      MakeRow("pipe", "4 KiB", 4096, {5e5, 500, 0}),
      MakeRow("tcp", "4 KiB", 4096, {5e4, 100, 0}),
  };
  const Verdict verdict = ComputeVerdict({MakeMeasurement("throughput", rows)});
  REQUIRE(verdict.table.size() == 1);
  CHECK(verdict.heads == std::vector<std::string>{"message", "1,000/s", "10,000/s", "100,000/s",
                                                  "1,000,000/s", "as fast as can be"});
  CHECK(verdict.table[0] == std::vector<std::string>{"4 KiB", "tcp", "tcp", "pipe",
                                                     "spsc ring (spinning)",
                                                     "by reference: 3,000,000/s"});
}

TEST_CASE("oversubscribed and missing rows take no part in the verdict") {
  std::vector<Row> rows = {
      MakeRow("lock-free queue", "1", 1, {100, 0, 0}), MakeRow("mutex queue", "1", 1, {50, 0, 0}),
      MakeRow("mutex queue", "8", 8, {900, 0, 0}), MakeRow("mqueue", "1", 1, {})};
  rows[2].oversubscribed = true;
  rows[3].unavailable = "none here";
  const Verdict verdict = ComputeVerdict({MakeMeasurement("producers", rows)});
  CHECK(Says(verdict, "producers, 1: lock-free queue is first, 100 messages/s."));
}

TEST_CASE("the tax is counted from the ring without a lock") {
  std::vector<Row> rows = {MakeRow("lock-free ring", "none", 0, {200, 0, 0}),
                           MakeRow("mutex", "low contention", 0, {50, 0, 0})};
  rows[1].reference = "-51 %";
  const Verdict verdict = ComputeVerdict({MakeMeasurement("tax", rows)});
  CHECK(Says(verdict, "tax, mutex, low contention: -75 % (starting text: -51 %)."));
}

TEST_CASE("a verdict of nothing says nothing") {
  const Verdict verdict = ComputeVerdict({});
  CHECK(verdict.table.empty());
  CHECK(verdict.sentences.empty());
}

TEST_CASE("--only takes measurements and mechanisms, and names what there is otherwise") {
  const Effort effort = {.quick = true, .rounds = 1};
  CHECK(SelectPlans(effort, {})->size() == kMeasurements.size());
  const auto pipes = SelectPlans(effort, {"Latency", "PIPE"});
  REQUIRE(pipes.ok());
  REQUIRE(pipes->size() == 1);
  CHECK((*pipes)[0].trials.size() == 2);  // spinning and blocking
  for (const Trial& trial : (*pipes)[0].trials) CHECK(trial.row.mechanism == "pipe");
  CHECK(SelectPlans(effort, {"robust mutex"})->size() == 2);  // tax and death
  const auto unknown = SelectPlans(effort, {"carrier pigeon"});
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message.find("\"carrier pigeon\"") != std::string::npos);
  CHECK(unknown.error().message.find("latency") != std::string::npos);
  CHECK_FALSE(SelectPlans(effort, {"latency", "rwlock"}).ok());
}

TEST_CASE("a failing trial fails its measurement, and an unavailable one does not") {
  Plan plan;
  plan.measurement.name = "example";
  plan.measurement.columns = {{"value", "", 0, Better::kMore}};
  int runs = 0;
  const auto trial = [&](const char* name, Result<Sample> sample) {
    plan.trials.push_back({MakeRow(name, "v", 0, {}), [&runs, sample] {
                             ++runs;
                             return sample;
                           }});
  };
  const auto no_progress = [](const Row&, int) {};
  trial("good", Sample{{4}, "", ""});
  trial("missing", Sample{{}, "", "not on this machine"});
  const auto done = RunPlan(plan, 3, no_progress);
  REQUIRE(done.ok());
  CHECK(runs == 4);  // what is missing is not asked again
  CHECK(done->rows[0].figures[0].median == 4);
  CHECK(done->rows[1].unavailable == "not on this machine");
  CHECK(done->rows[1].figures.empty());
  trial("bad", MakeError(ErrorCode::kGeneric, "message 3 of sender 0 is damaged"));
  const auto failed = RunPlan(plan, 3, no_progress);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message == "example: bad, v: message 3 of sender 0 is damaged");
}

TEST_CASE("a plot has a block of data for each line, and the script names each") {
  const Measurement hybrid = Hybrid({9, 8}, {1, 20});
  CHECK(PlotData(hybrid) ==
        "# unix socket: frame median min max\n1 9 9 9\n2 8 8 8\n\n\n"
        "# shared pool + unix socket: frame median min max\n1 1 1 1\n2 20 20 20\n\n\n");
  const std::string script = PlotScript(hybrid);
  CHECK(script.find("index 1 using 1:2:3:4 with yerrorlines pt 7 title 'shared pool + unix "
                    "socket'") != std::string::npos);
  CHECK(script.find("set output 'hybrid.svg'") != std::string::npos);
}

TEST_CASE("tables mark what is oversubscribed and what is not available") {
  std::vector<Row> rows = {MakeRow("lock-free queue", "8", 8, {1234567, 0, 0}),
                           MakeRow("mqueue", "8", 8, {})};
  rows[0].oversubscribed = true;
  rows[1].unavailable = "mq_open: Function not implemented";
  const std::string text = MeasurementText(MakeMeasurement("producers", rows));
  CHECK(text.find("1,234,567 ±0%") != std::string::npos);
  CHECK(text.find("   oversubscribed\n") != std::string::npos);
  CHECK(text.find("not available: mq_open: Function not implemented\n") != std::string::npos);
}

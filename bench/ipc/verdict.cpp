#include "bench/ipc/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace warren::ipc {
namespace {

const Measurement* Find(const std::vector<Measurement>& measured, std::string_view name) {
  for (const Measurement& measurement : measured) {
    if (measurement.name == name) return &measurement;
  }
  return nullptr;
}

bool TakesPart(const Row& row) { return !row.figures.empty() && !row.oversubscribed; }

double Of(const Row& row, size_t column) { return row.figures[column].median; }

const Row* Best(const std::vector<const Row*>& rows, size_t column, Better better) {
  const auto worse = [&](const Row* a, const Row* b) {
    return better == Better::kMore ? Of(*a, column) < Of(*b, column)
                                   : Of(*a, column) > Of(*b, column);
  };
  const auto best = std::max_element(rows.begin(), rows.end(), worse);
  return best == rows.end() ? nullptr : *best;
}

template <typename Condition>
std::vector<const Row*> Select(const Measurement& measurement, Condition condition) {
  std::vector<const Row*> rows;
  for (const Row& row : measurement.rows) {
    if (TakesPart(row) && condition(row)) rows.push_back(&row);
  }
  return rows;
}

constexpr std::array<double, 4> kRates = {1'000, 10'000, 100'000, 1'000'000};
constexpr size_t kRate = 0;  // columns of the measurement "throughput"
constexpr size_t kCpu = 1;

bool Spins(const Row& row) {
  return row.mechanism == "spsc ring" || row.mechanism == "by reference";
}

// A receiver that spins uses a whole processor at any rate, so those that sleep are preferred;
// among them the one that needs least processor time for a message.
std::string Choice(const std::vector<const Row*>& rows, double rate) {
  std::vector<const Row*> sleeping;
  std::vector<const Row*> spinning;
  for (const Row* row : rows) {
    if (Of(*row, kRate) >= rate) (Spins(*row) ? spinning : sleeping).push_back(row);
  }
  if (const Row* best = Best(sleeping, kCpu, Better::kLess)) return best->mechanism;
  if (const Row* best = Best(spinning, kCpu, Better::kLess)) return best->mechanism + " (spinning)";
  return "none";
}

void DecisionTable(const Measurement& throughput, Verdict* verdict) {
  const auto sent = Select(throughput, [](const Row& row) { return row.mechanism != "not sent"; });
  std::set<double> sizes;
  for (const Row* row : sent) sizes.insert(row->at);
  if (sizes.empty()) return;
  verdict->heads = {"message"};
  for (const double rate : kRates) {
    verdict->heads.push_back(fmt::format("{}/s", FormatNumber(rate, 0)));
  }
  verdict->heads.push_back("as fast as can be");
  for (const double size : sizes) {
    const auto rows = Select(
        throughput, [&](const Row& row) { return row.at == size && row.mechanism != "not sent"; });
    std::vector<std::string> line = {rows.front()->variant};
    for (const double rate : kRates) line.push_back(Choice(rows, rate));
    const Row& best = *Best(rows, kRate, Better::kMore);
    line.push_back(fmt::format("{}: {}/s", best.mechanism, FormatNumber(Of(best, kRate), 0)));
    verdict->table.push_back(line);
  }
}

void SayLatency(const Measurement& latency, std::vector<std::string>* sentences) {
  const Row* bests[2] = {};
  for (const bool spins : {true, false}) {
    const char* variant = spins ? "spinning" : "blocking";
    const auto rows = Select(latency, [&](const Row& row) { return row.variant == variant; });
    const Row* best = Best(rows, 1, Better::kLess);
    if (best == nullptr) continue;
    bests[spins ? 0 : 1] = best;
    sentences->push_back(fmt::format("latency, {}: {} is first, {} ns typically.", variant,
                                     best->mechanism, FormatNumber(Of(*best, 1), 0)));
  }
  if (bests[0] != nullptr && bests[1] != nullptr && Of(*bests[0], 1) > 0) {
    sentences->push_back(
        fmt::format("latency: to sleep and be woken takes {} times as long as to look.",
                    FormatNumber(Of(*bests[1], 1) / Of(*bests[0], 1), 0)));
  }
}

void SayTax(const Measurement& tax, std::vector<std::string>* sentences) {
  const auto ring = Select(tax, [](const Row& row) { return row.variant == "none"; });
  if (ring.empty() || Of(*ring[0], 0) == 0) return;
  for (const Row& row : tax.rows) {
    if (&row == ring[0] || !TakesPart(row)) continue;
    const double change = (Of(row, 0) / Of(*ring[0], 0) - 1) * 100;
    sentences->push_back(fmt::format(
        "tax, {}, {}: {:+.0f} %{}.", row.mechanism, row.variant, change,
        row.reference.empty() ? "" : fmt::format(" (starting text: {})", row.reference)));
  }
}

// Of the measurements that have a line for each mechanism: who is best at the most processes that
// the machine can run at once.
void SayMost(const Measurement& measurement, std::vector<std::string>* sentences) {
  double most = 0;
  for (const Row* row : Select(measurement, [](const Row&) { return true; })) {
    most = std::max(most, row->at);
  }
  if (most == 0) return;
  const auto rows = Select(measurement, [&](const Row& row) { return row.at == most; });
  const Row& best = *Best(rows, 0, Better::kMore);
  sentences->push_back(fmt::format("{}, {}: {} is first, {} {}.", measurement.name,
                                   FormatNumber(most, 0), best.mechanism,
                                   FormatNumber(Of(best, 0), 0), measurement.columns[0].name));
}

void SayHybrid(const Measurement& hybrid, std::vector<std::string>* sentences) {
  const double from = CrossOver(hybrid, "unix socket", "shared pool + unix socket", 0);
  sentences->push_back(
      from < 0 ? "hybrid: the shared pool carries more frames than the socket at no size for good."
               : fmt::format("hybrid: the shared pool carries at least as many frames as the "
                             "socket itself from {} on.",
                             FormatBytes(static_cast<uint64_t>(from))));
}

void SayDeath(const Measurement& death, std::vector<std::string>* sentences) {
  for (const Row& row : death.rows) {
    if (row.outcome.empty()) continue;
    const std::string after =
        row.figures.empty() ? ""
                            : fmt::format(" after {} us", FormatNumber(row.figures[0].median, 0));
    sentences->push_back(
        fmt::format("death, {}, {}: {}{}.", row.mechanism, row.variant, row.outcome, after));
  }
}

}  // namespace

double CrossOver(const Measurement& measurement, const std::string& incumbent,
                 const std::string& challenger, size_t column) {
  const Better better = measurement.columns[column].better;
  std::vector<const Row*> challengers =
      Select(measurement, [&](const Row& row) { return row.mechanism == challenger; });
  std::sort(challengers.begin(), challengers.end(),
            [](const Row* a, const Row* b) { return a->at > b->at; });
  double from = -1;
  for (const Row* row : challengers) {
    const auto other = Select(measurement, [&](const Row& candidate) {
      return candidate.mechanism == incumbent && candidate.at == row->at;
    });
    if (other.empty()) continue;
    const double difference = Of(*row, column) - Of(*other[0], column);
    if (better == Better::kMore ? difference < 0 : difference > 0) break;
    from = row->at;
  }
  return from;
}

Verdict ComputeVerdict(const std::vector<Measurement>& measured) {
  Verdict verdict;
  std::vector<std::string>* sentences = &verdict.sentences;
  if (const auto* found = Find(measured, "throughput")) DecisionTable(*found, &verdict);
  if (const auto* found = Find(measured, "latency")) SayLatency(*found, sentences);
  if (const auto* found = Find(measured, "tax")) SayTax(*found, sentences);
  if (const auto* found = Find(measured, "producers")) SayMost(*found, sentences);
  if (const auto* found = Find(measured, "readers")) SayMost(*found, sentences);
  if (const auto* found = Find(measured, "hybrid")) SayHybrid(*found, sentences);
  if (const auto* found = Find(measured, "death")) SayDeath(*found, sentences);
  return verdict;
}

}  // namespace warren::ipc

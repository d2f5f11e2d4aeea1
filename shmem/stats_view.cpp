#include "shmem/stats_view.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "lwlock/tranche.h"
#include "shmem/stats.h"

namespace warren {
namespace {

void AddNamed(std::vector<Statistic>* all) {
  for (size_t i = 0; i < kStatCount; ++i) {
    const StatId id = static_cast<StatId>(i);
    const StatInfo& info = GetStatInfo(id);
    all->push_back({std::string(info.name), info.unit, std::string(info.help),
                    [id] { return Stats::Read(id); }});
  }
}

void AddErrorKinds(std::vector<Statistic>* all) {
  for (size_t kind = 0; kind < kErrorKinds; ++kind) {
    const std::string_view name = ErrorKindNames()[kind];
    const std::string help = name == "other"
                                 ? "error replies with any other prefix"
                                 : fmt::format("error replies that begin with {}", name);
    all->push_back({fmt::format("errors_{}", name), "replies", help,
                    [kind] { return Stats::ReadError(kind); }});
  }
}

void AddTranches(std::vector<Statistic>* all) {
  using Totals = Stats::TrancheTotals;
  for (size_t i = 0; i < kTrancheCount; ++i) {
    const std::string_view tranche = GetTranche(static_cast<TrancheId>(i)).name;
    if (tranche.starts_with("test")) continue;
    const auto add = [&](std::string_view what, std::string_view unit, std::string help,
                         uint64_t Totals::*total) {
      all->push_back({fmt::format("lwlock_{}_{}", tranche, what), unit, std::move(help),
                      [i, total] { return Stats::ReadTranche(i).*total; }});
    };
    add("acquired", "acquires", fmt::format("of {} locks", tranche), &Totals::acquired);
    add("waited", "acquires", "of those, the ones that had to spin or sleep", &Totals::waited);
    add("wait_ns", "nanoseconds", "spent in those waits", &Totals::wait_ns);
  }
  all->push_back({"lwlock_timeouts_on_free_lock", "sleeps",
                  "for an LWLock or a flush of the log that timed out though it was free or nobody "
                  "flushed: a lost wake-up, unless a process was stopped",
                  [] { return Stats::TimeoutsOnFreeLock(); }});
}

}  // namespace

std::vector<Statistic> AllStatistics() {
  std::vector<Statistic> all;
  AddNamed(&all);
  AddErrorKinds(&all);
  AddTranches(&all);
  return all;
}

std::string StatisticsMarkdown() {
  std::string page =
      "# Statistics\n\n"
      "What `STATS [pattern]` shows. Each process counts in its own slot of shared memory; a value "
      "is the sum over all slots, those of ended processes included, since the server's start or "
      "the last `CONFIG RESETSTAT`. Counters per command are in `INFO commandstats`.\n\n"
      "This page is made from the tables in `shmem/stat_list.def`, `shmem/stats.cpp` and "
      "`lwlock/tranche_list.def` by `./dev docs`.\n\n"
      "| name | unit | counts |\n"
      "| --- | --- | --- |\n";
  for (const Statistic& statistic : AllStatistics()) {
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} |\n", statistic.name, statistic.unit,
                   statistic.help);
  }
  return page;
}

}  // namespace warren

#include "lwlock/locks_page.h"

#include <fmt/format.h>

#include <iterator>

#include "lwlock/tranche.h"

namespace warren {
namespace {

struct WaitEventRow {
  std::string_view name;
  std::string_view help;
};
constexpr WaitEventRow kWaitEvents[] = {
#define WARREN_WAIT_EVENT(id, name, help) {name, help},
#include "lwlock/wait_event_list.def"
#undef WARREN_WAIT_EVENT
};

}  // namespace

std::string LocksMarkdown() {
  std::string page =
      "# Locks and waits\n\n"
      "Every LWLock of the server, in lock order: a process may wait for a lock only if its rank "
      "is above the ranks of all locks it holds. Made from `lwlock/tranche_list.def` and "
      "`lwlock/wait_event_list.def` by `./dev docs`.\n\n"
      "| rank | tranche | several at once | guards |\n"
      "| ---: | --- | --- | --- |\n";
  auto out = std::back_inserter(page);
  for (size_t i = 0; i < kTrancheCount; ++i) {
    const Tranche& tranche = GetTranche(static_cast<TrancheId>(i));
    if (tranche.name.starts_with("test")) continue;
    fmt::format_to(out, "| {} | `{}` | {} | {} |\n", tranche.rank, tranche.name,
                   tranche.several == Several::kSameRank ? "yes" : "no", tranche.guards);
  }
  page +=
      "\nWhat else a process can be waiting for, as the views show it (a wait for an LWLock is "
      "shown "
      "by its tranche's name):\n\n"
      "| wait event | waits |\n"
      "| --- | --- |\n";
  for (const WaitEventRow& event : kWaitEvents) {
    fmt::format_to(out, "| `{}` | {} |\n", event.name, event.help);
  }
  return page;
}

}  // namespace warren

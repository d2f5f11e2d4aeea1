#include "lwlock/tranche.h"

#include <array>

namespace warren {
namespace {

constexpr std::array<Tranche, kTrancheCount> kTranches = {{
#define WARREN_TRANCHE(id, name, rank, several, guards) {name, rank, Several::several, guards},
#include "lwlock/tranche_list.def"
#undef WARREN_TRANCHE
}};

constexpr bool RanksAscend() {
  for (size_t i = 1; i < kTranches.size(); ++i) {
    if (kTranches[i].rank <= kTranches[i - 1].rank) return false;
  }
  return true;
}
static_assert(RanksAscend(), "tranche_list.def is the lock order: ranks must ascend");

constexpr std::string_view kWaitEventNames[] = {
#define WARREN_WAIT_EVENT(id, name, help) name,
#include "lwlock/wait_event_list.def"
#undef WARREN_WAIT_EVENT
};

}  // namespace

const Tranche& GetTranche(TrancheId id) { return kTranches[static_cast<size_t>(id)]; }

std::string_view WaitEventName(WaitEvent event) {
  return kWaitEventNames[static_cast<size_t>(event)];
}

}  // namespace warren

// Which kinds of locks are there, and in which order may they be taken?
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warren {

enum class TrancheId : uint16_t {
#define WARREN_TRANCHE(id, name, rank, several, guards) id,
#include "lwlock/tranche_list.def"
#undef WARREN_TRANCHE
};

inline constexpr size_t kTrancheCount = 0
#define WARREN_TRANCHE(id, name, rank, several, guards) +1
#include "lwlock/tranche_list.def"
#undef WARREN_TRANCHE
    ;

enum class Several : uint8_t { kSingle, kSameRank };

struct Tranche {
  std::string_view name;
  uint16_t rank;
  Several several;  // may a process hold two locks of this tranche at once?
  std::string_view guards;
};

const Tranche& GetTranche(TrancheId id);

// What a process waits for when it is not an LWLock.
enum class WaitEvent : uint16_t {
#define WARREN_WAIT_EVENT(id, name, help) id,
#include "lwlock/wait_event_list.def"
#undef WARREN_WAIT_EVENT
};

std::string_view WaitEventName(WaitEvent event);

}  // namespace warren

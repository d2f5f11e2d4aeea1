// What do log lines call the process of a slot?
//
// The locks know slots only; whoever knows more of them (shmem/slot_name.h) says it here.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/ids.h"

namespace warren {

// Set once, before the first fork.
using SlotDescriber = std::string (*)(SlotIndex slot);
inline constinit SlotDescriber g_slot_describer = nullptr;

// "slot 5", or "slot 5 (backend 1234, ...)".
inline std::string NameSlot(SlotIndex slot) {
  if (g_slot_describer == nullptr) return fmt::format("slot {}", slot);
  return fmt::format("slot {} ({})", slot, g_slot_describer(slot));
}

}  // namespace warren

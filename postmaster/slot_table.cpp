#include "postmaster/slot_table.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace warren {

SlotTable::SlotTable(uint32_t slot_count)
    : free_bits_((slot_count + 63) / 64), children_(slot_count), counts_(ProcessKinds().size()) {
  for (SlotIndex slot = 0; slot < slot_count; ++slot) Free(slot);
}

std::optional<SlotIndex> SlotTable::Take() {
  for (size_t word = 0; word < free_bits_.size(); ++word) {
    if (free_bits_[word] == 0) continue;
    const auto bit = static_cast<unsigned>(std::countr_zero(free_bits_[word]));
    free_bits_[word] &= free_bits_[word] - 1;
    --free_count_;
    return static_cast<SlotIndex>(word * 64 + bit);
  }
  return std::nullopt;
}

void SlotTable::Free(SlotIndex slot) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  CHECK((free_bits_[slot / 64] & bit) == 0, "slot {} is free already", slot);
  free_bits_[slot / 64] |= bit;
  ++free_count_;
}

bool SlotTable::FreeRepaired(FunctionRef<bool(SlotIndex)> repaired) {
  const size_t freed = std::erase_if(dead_, [&](SlotIndex slot) {
    if (!repaired(slot)) return false;
    Free(slot);
    return true;
  });
  return freed > 0;
}

void SlotTable::AddChild(const Child& child) {
  CHECK(FindChild(child.pid) == nullptr, "pid {} is in use already", child.pid);
  Child& place = children_[child.owner.slot];
  CHECK(place.pid == 0, "slot {} has a process already", child.owner.slot);
  place = child;
  used_ = std::max(used_, size_t{child.owner.slot} + 1);
  ++child_count_;
  ++counts_[static_cast<size_t>(child.kind)];
}

const Child* SlotTable::FindChild(pid_t pid) const {
  const std::span<const Child> used = children();
  const auto found = std::ranges::find(used, pid, &Child::pid);
  return pid == 0 || found == used.end() ? nullptr : &*found;
}

void SlotTable::RemoveChild(pid_t pid) {
  const Child* const found = FindChild(pid);
  CHECK(found != nullptr, "pid {} is unknown", pid);
  --counts_[static_cast<size_t>(found->kind)];
  --child_count_;
  children_[found->owner.slot].pid = 0;
}

}  // namespace warren

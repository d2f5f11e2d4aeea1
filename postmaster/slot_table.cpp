#include "postmaster/slot_table.h"

#include <bit>

#include "base/check.h"

namespace warren {

SlotTable::SlotTable(uint32_t slot_count)
    : free_bits_((slot_count + 63) / 64), counts_(ProcessKinds().size()) {
  for (SlotIndex slot = 0; slot < slot_count; ++slot) Free(slot);
  children_.reserve(slot_count);
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
  CHECK(children_.emplace(child.pid, child).second, "pid {} is in use already", child.pid);
  ++counts_[static_cast<size_t>(child.kind)];
}

const Child* SlotTable::FindChild(pid_t pid) const {
  const auto found = children_.find(pid);
  return found == children_.end() ? nullptr : &found->second;
}

void SlotTable::RemoveChild(pid_t pid) {
  const auto found = children_.find(pid);
  CHECK(found != children_.end(), "pid {} is unknown", pid);
  --counts_[static_cast<size_t>(found->second.kind)];
  children_.erase(found);
}

}  // namespace warren

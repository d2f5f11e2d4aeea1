// A segment with nothing in it but locks and the slots of those who use them.
#pragma once

#include <cstddef>

#include "lwlock/lwlock.h"
#include "tests/support/shared_region.h"

namespace warren::test {

class LockWorld {
 public:
  // `singles` locks of tranche test, `severals` of tranche test_several (which ranks above it).
  explicit LockWorld(uint32_t slots, size_t singles = 1, size_t severals = 0)
      : region_((size_t{1} << 20) + slots * (sizeof(LockProc) + 64) +
                (singles + severals) * LWLockBytes(slots)),
        space_(region_.Allocate<LockSpace>()),
        procs_(region_.Allocate<LockProc>(slots)),
        singles_(Init(slots, singles, TrancheId::kTest)),
        severals_(Init(slots, severals, TrancheId::kTestSeveral)) {
    space_->slot_count = slots;
  }

  // Makes the calling process (or thread) the one of `slot`.
  void Bind(SlotIndex slot) {
    CoverSlot(*space_, slot);
    BindLockProc(space_, &procs_[slot], slot);
  }

  LWLock& lock(size_t i = 0) { return singles_[i]; }
  LWLock& several(size_t i) { return severals_[i]; }
  LockProc& proc(SlotIndex slot) { return procs_[slot]; }
  LockSpace& space() { return *space_; }
  uint32_t slot_count() const { return space_->slot_count; }
  SharedRegion& region() { return region_; }

 private:
  LWLockArray Init(uint32_t slots, size_t count, TrancheId tranche) {
    std::byte* base = region_.AllocateBytes(count * LWLockBytes(slots));
    for (uint32_t i = 0; i < count; ++i)
      InitLWLock(base + i * LWLockBytes(slots), slots, tranche, i);
    return LWLockArray(base, slots);
  }

  SharedRegion region_;
  LockSpace* space_;
  LockProc* procs_;
  LWLockArray singles_;
  LWLockArray severals_;
};

}  // namespace warren::test

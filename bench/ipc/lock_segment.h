// What does an LWLock need around it: a segment with the lock and the slots of those who use it?
#pragma once

#include "bench/ipc/shared_memory.h"
#include "lwlock/lwlock.h"
#include "lwlock/repair.h"

namespace warren::ipc {

class LockSegment {
 public:
  static constexpr uint32_t kSlots = 64;

  LockSegment()
      : memory_(SharedMemory::Rounded(sizeof(LockSpace)) + kSlots * sizeof(LockProc) +
                kCacheLineBytes + LWLockBytes(kSlots)),
        space_(memory_.Allocate<LockSpace>()),
        procs_(memory_.Allocate<LockProc>(kSlots)),
        lock_(InitLWLock(memory_.AllocateBytes(LWLockBytes(kSlots)), kSlots, TrancheId::kTest, 0)) {
    space_->slot_count = kSlots;
  }

  // Makes the calling process the one of its member's slot.
  void Bind(int member) {
    const SlotIndex slot = SlotOf(member);
    CoverSlot(*space_, slot);
    BindLockProc(space_, &procs_[slot], slot);
  }

  // What the process monitor does for a member that died and was reaped. False: it can't.
  bool ReleaseLocksOf(int member) {
    const SlotIndex slot = SlotOf(member);
    return ReleaseLocksOfDead(*space_, procs_[slot], slot);
  }

  LWLock& lock() { return *lock_; }

 private:
  // Slot 0 may stand as far from its page's start as the lock does; the processor would take stores
  // to the one for loads from the other.
  static SlotIndex SlotOf(int member) { return static_cast<SlotIndex>(member) + 1; }

  SharedMemory memory_;
  LockSpace* space_;
  LockProc* procs_;
  LWLock* lock_;
};

}  // namespace warren::ipc

// What is there before an operation is swept, and who is there beside it?
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/fault_point.h"
#include "base/ids.h"
#include "shmem/lock_table.h"

namespace warren::test {

// -- Keys.

inline constexpr size_t kHalfLeaf = 1900;

std::string KeyNo(int i);
std::string Filled(size_t bytes, char with);
// `count` keys of a quarter leaf.
void Fill(int count, uint32_t database = 0);
// Of the keys that Fill makes.
void CommitSeveral();

// -- Another process.

// One in kOtherSlot that does `body` and is then stopped where it sleeps; it is in the segment like
// any other, and never stores anything again. Dies with the calling process.
void StopAnotherIn(const std::function<void()>& body, const std::function<bool()>& sleeps);
// Likewise: it waits for the lock.
void WaitForLock(const LockTag& tag);

// One that dies in `body`, when it comes to the point after so many passes; not repaired yet.
void LetDieAt(SlotIndex slot, FaultPoint point, int passes, const std::function<void()>& body);
// What the process monitor does with it.
void RepairSlot(SlotIndex slot);

}  // namespace warren::test

// Which buffer is given up when another page needs one?
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/buffer_descriptor.h"

namespace warren {

inline constexpr uint32_t kMaxUsage = 5;

// The page was used: its buffer survives one more round of the hand, up to kMaxUsage.
inline void NoteUsage(BufferDescriptor& descriptor) {
  const uint32_t usage = descriptor.usage.load(std::memory_order_relaxed);
  // Not stored when full, so that a hot page's descriptor stays shared in all caches.
  if (usage < kMaxUsage) descriptor.usage.store(usage + 1, std::memory_order_relaxed);
}

// A buffer, held exclusively, that is not dirty; it still has its old tag, if it had one. Buffers
// are only try-locked; dirty ones are written out, and one that can't be written is passed over (it
// stays dirty). Errors: kBusy if all are locked, or that of the failed writes if nothing else was
// left.
Result<BufferIndex> TakeVictim();

// The first buffer that the next search will look at.
BufferIndex ClockPosition();

}  // namespace warren

// What are the numbers that name things?
#pragma once

#include <cstdint>

namespace warren {

using SlotIndex = uint32_t;  // a place in the process array, 0-based
using PageNo =
    uint32_t;  // a page of the data file; 0 is the file's header page, never a link target
using BufferIndex = uint32_t;  // a place in the buffer cache, 0-based
using Lsn = uint64_t;          // a byte position in the log; 0 means "never"

inline constexpr uint32_t kPageBytes = 8192;
inline constexpr uint32_t kCacheLineBytes = 64;
inline constexpr uint32_t kMaxDatabases = 1024;
inline constexpr PageNo kNoPage = 0;
inline constexpr BufferIndex kNoBuffer = ~BufferIndex{0};
inline constexpr SlotIndex kNoSlot = ~SlotIndex{0};

// Owner of something in shared memory: a slot as it was used by one process. Never a bare pid.
struct Owner {
  SlotIndex slot = kNoSlot;
  uint32_t generation = 0;
  friend bool operator==(const Owner&, const Owner&) = default;
};

// An Owner in one word, for shared memory. 0 is nobody: generations begin at 1.
using PackedOwner = uint64_t;
inline PackedOwner Pack(Owner owner) { return uint64_t{owner.generation} << 32 | owner.slot; }
inline Owner Unpack(PackedOwner packed) {
  return {static_cast<SlotIndex>(packed), static_cast<uint32_t>(packed >> 32)};
}

}  // namespace warren

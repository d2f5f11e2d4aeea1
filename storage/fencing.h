// Which number tells a later holder of a lock from an earlier one?
//
// Fencing tokens only grow, over restarts and crashes too: a block of them is logged, and the log
// flushed, before the first one of it is given out; a start goes on above the newest block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace warren {

inline constexpr uint64_t kTokensPerBlock = 1000;

// Of a kTokenLimit record: tokens from here on may not have been given out by then.
struct TokenLimit {
  uint64_t limit;
};

// Larger than every token that was given out before, from 1 on. May wait for the log, once per
// block. kNoSpace, kIo: of the log. No LWLock may be held.
Result<uint64_t> NextFencingToken();

// Redo, and who reads a checkpoint record: tokens below `limit` may have been given out.
void RaiseTokenLimit(uint64_t limit);
Status LoadTokenLimit(std::span<const std::byte> head);

}  // namespace warren

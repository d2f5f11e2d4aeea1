// Which leaf, and in which state, is it that a key was looked for in?
#pragma once

#include "shmem/buffer_cache.h"
#include "storage/store.h"

namespace warren {

// `leaf` is held, or there is none. (Store::Unchanged compares.)
LeafStamp StampOf(uint32_t database, const SharedPage& leaf);

}  // namespace warren

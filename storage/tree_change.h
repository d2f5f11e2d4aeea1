// How does a B+tree grow and shrink?
//
//   split        one record: left keeps its page and gets a flag, right is new; then
//   finish       one record: the parent's entry for right, the flag cleared; or a new root above
//   both.
//                Whoever meets the flag may finish it
//   unlink       one record: an empty leaf goes, its left neighbour takes over range and right
//   link;
//                a parent whose only child it was goes with it
//   drop         one record: FLUSH takes the root out of the catalog; the tree is garbage
//
// All Step functions run inside an Operation and hold nothing when they return, unless said
// otherwise.
#pragma once

#include <string_view>

#include "shmem/buffer_cache.h"
#include "storage/operation.h"

namespace warren {

// Gives an empty database a root. kAgain when it has one now.
Result<Step> CreateRoot(uint32_t database);

// Makes room in a full node that is about to get a cell at `insert_slot`, and finishes the split.
// kAgain when that is done: the cell's place has to be searched again.
Result<Step> SplitNode(ExclusivePage node, uint32_t insert_slot);

// Gives the right half of a split its entry in the parent, if it has none yet. `left` was found by
// a link within this Operation.
Result<Step> FinishSplit(PageNo left);
// Finishes the split that a search of this process met last, if any. No Operation may be running.
void FinishSplitMet();

// Takes the leaf that would hold `key` out of the tree if it is empty and not the first child of
// its parent, unless others are at work there. No Operation may be running. Failing is harmless: an
// empty leaf stays.
void UnlinkEmptyLeaf(uint32_t database, std::string_view key);

// Takes the whole tree away; sets `old_root` to what is garbage now (kNoPage: there was no tree).
Result<Step> DropTree(uint32_t database, PageNo& old_root);

}  // namespace warren

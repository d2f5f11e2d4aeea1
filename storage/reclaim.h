// How does garbage become free pages?
//
// Garbage is what is pending in the allocation map (map_page.h). A page or chain may be freed when
// no running operation began before it became garbage; a chain that was built but never linked,
// when the process that built it is gone. Chains are freed from their head on in steps, each one
// record, so that any process can go on where another one stopped.
//
// Locking: nothing may be held, and no Operation of the caller may be running.
#pragma once

#include <unordered_set>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

// Makes sure that some page was free a moment ago: collects garbage, else extends the file.
// kNoSpace when it cannot.
Status MakeRoom();

// Frees garbage until about `page_limit` pages are free or all has been looked at. Pages that
// cannot be read are left as they are. Returns the number freed.
uint32_t CollectGarbage(uint32_t page_limit);

// Frees the chain or tree that begins with `head`, if that is allowed, up to about `page_limit`
// pages. True if nothing of it is left.
Result<bool> FreeChain(PageNo head, uint64_t page_limit);

// Frees a tree that FLUSH has just dropped, as far as operations that began before let it within a
// moment; the rest is left to later allocations.
void FreeDroppedTree(PageNo root);

// While it lives, this process frees none of these chains: commits that have still to be finished
// link them, and their makers are gone. One at a time.
class ChainProtection {
 public:
  explicit ChainProtection(std::unordered_set<PageNo> heads);
  ~ChainProtection();
  ChainProtection(const ChainProtection&) = delete;
  ChainProtection& operator=(const ChainProtection&) = delete;
};

}  // namespace warren

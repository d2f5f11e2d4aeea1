// How is a value kept that is too large for its leaf?
//
// As a chain of overflow pages, built from its last page to its first, a few pages with each
// record, before the leaf is locked. While it is built its head is pending in the allocation map
// and names its maker, so that it is garbage once the maker is dead; the record that links the cell
// makes it used. The bytes are copied into the pages, and from there into the log.
#pragma once

#include <memory>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "storage/operation.h"

namespace warren {

// Private memory for one value; kept for the next one unless it is large.
class ValueBuffer {
 public:
  // Room for `bytes`, content undefined. kBusy when there is no memory for it.
  Result<char*> Reserve(uint64_t bytes);
  // Gives the memory back if it is more than what a process should keep.
  void Trim();

 private:
  std::unique_ptr<char[]> bytes_;
  uint64_t capacity_ = 0;
};

// Writes `value` into a new chain; returns its head. No Operation may be running and nothing be
// held. After an error nothing of it is left (or is garbage that others collect).
Result<PageNo> BuildChain(uint32_t database, std::string_view value);

// Throws away a chain that was built and not linked. No Operation may be running.
void DiscardChain(PageNo head);

// Copies the `bytes` bytes of the chain to `to`. Within the Operation that found `head` in its
// cell.
Status ReadChain(PageNo head, uint64_t bytes, char* to);

}  // namespace warren

// Which process slots are free, and which child has which?
//
//   Take -> AddChild -> RemoveChild -> Free                      ended in order
//                                   -> AwaitRepair -> (repaired) dead: free when the segment says
//                                   so
//
// The postmaster's private memory: a child gone wild cannot harm it. What others may know about a
// slot stands in the segment (shmem/proc.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "shmem/proc.h"

namespace warren {

struct Child {
  pid_t pid = 0;
  Owner owner;
  ProcessKind kind = ProcessKind::kBackend;
  int64_t start_ns = 0;  // MonotonicNs
};

class SlotTable {
 public:
  explicit SlotTable(uint32_t slot_count);

  // The lowest free slot, now taken; nothing if all are. The lowest, so that the locks' reader
  // words that must be looked at stay few.
  std::optional<SlotIndex> Take();
  void Free(SlotIndex slot);
  size_t FreeCount() const { return free_count_; }

  // The slot of a dead process, which somebody else clears away and then frees in the segment.
  void AwaitRepair(SlotIndex slot) { dead_.push_back(slot); }
  // Frees those of them that `repaired` says are done. Were there any?
  bool FreeRepaired(FunctionRef<bool(SlotIndex)> repaired);
  size_t DeadCount() const { return dead_.size(); }

  void AddChild(const Child& child);
  const Child* FindChild(pid_t pid) const;  // null: not ours
  void RemoveChild(pid_t pid);              // its slot stays taken until Free

  size_t ChildCount() const { return child_count_; }
  size_t ChildCount(ProcessKind kind) const { return counts_[static_cast<size_t>(kind)]; }
  // By slot; those without a pid are nobody.
  std::span<const Child> children() const { return {children_.data(), used_}; }

 private:
  std::vector<uint64_t> free_bits_;
  size_t free_count_ = 0;
  std::vector<SlotIndex> dead_;
  // By slot; without a pid: nobody. A search costs less than the page fault after each fork that a
  // hash table beside it would cost, for its being written to.
  std::vector<Child> children_;
  size_t used_ = 0;  // no slot from here on has had a child
  size_t child_count_ = 0;
  std::vector<size_t> counts_;  // by kind
};

}  // namespace warren

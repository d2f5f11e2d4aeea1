// Which process slots are free, and which child has which?
//
// The postmaster's private memory: a child gone wild cannot harm it. What others may know about a
// slot stands in the segment (shmem/proc.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

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

  void AddChild(const Child& child);
  const Child* FindChild(pid_t pid) const;  // null: not ours
  void RemoveChild(pid_t pid);              // its slot stays taken until Free

  size_t ChildCount() const { return children_.size(); }
  size_t ChildCount(ProcessKind kind) const { return counts_[static_cast<size_t>(kind)]; }
  const std::unordered_map<pid_t, Child>& children() const { return children_; }

 private:
  std::vector<uint64_t> free_bits_;
  std::unordered_map<pid_t, Child> children_;
  std::vector<size_t> counts_;  // by kind
};

}  // namespace warren

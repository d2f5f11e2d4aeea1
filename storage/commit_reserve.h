// What can a commit still use when the disk is full?
//
// Behind its commit point nothing may fail for want of space. So before its first record a commit
// reserves what its changes can need at most, of pages and of log:
//
//   pages  room behind the data file's end, allocated on disk. Ordinary work lets the file grow
//   only
//          as far as so much stays behind it; who makes a commit's changes may then take it
//   log    bytes behind the insert position, in segments that exist. Ordinary work does not insert
//          into them
//
// Truth is SlotReserve, one in each slot. A dead process's is used, and given back, by whoever
// finishes its commit.
//
// Limits: a page that a commit has taken from its reserve may go to somebody else who is out of
// room, too; and of log no commit reserves more than kMostLogBytes. It may have to wait for room
// then.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/segment.h"
#include "storage/commit_record.h"

namespace warren {

struct ReserveNeed {
  static constexpr uint64_t kMostLogBytes = 256ull << 20;

  PageNo pages = 0;
  uint64_t log_bytes = 0;
};

// What the changes, and the records that say them, can need at most.
ReserveNeed NeedOf(const std::vector<LoggedChange>& changes);

// While it lives, this process draws on the reserve of the slot; at its end what is left is given
// back, unless it is kept for another try. No LWLock may be held.
class CommitReserve {
 public:
  explicit CommitReserve(SlotIndex slot);
  ~CommitReserve();
  CommitReserve(const CommitReserve&) = delete;
  CommitReserve& operator=(const CommitReserve&) = delete;

  // kNoSpace, kIo: there is not so much. May make the data file and the log longer.
  Status Take(const ReserveNeed& need);
  // The commit could not be finished now: what is left stays with the slot.
  void Keep() { kept_ = true; }

 private:
  bool kept_ = false;
};

// The reserve that this process draws on now, or nullptr.
SlotReserve* ReserveInUse();

// All pages that are reserved. With the data file lock: none is added meanwhile.
uint64_t ReservedPages();

}  // namespace warren

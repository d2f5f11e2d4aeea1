// How does a process say that it is following page links, and what if it has to start again?
#pragma once

#include <limits>

#include "base/function_ref.h"
#include "base/result.h"
#include "shmem/segment.h"

namespace warren {

// While it lives, no page that this process may still reach by a link is reused: `op_start` in the
// slot is older than the deletion of every such page (README.md, rule 6). Never lives while its
// process waits for a client, a key lock or the log.
class Operation {
 public:
  Operation() {
    // seq_cst, before the first root is read: a reclaimer either sees the mark, or has taken its
    // page out of the tree before this operation could read a link to it.
    OpStart().store(Segment::Wal().insert.load(std::memory_order_seq_cst),
                    std::memory_order_seq_cst);
  }
  ~Operation() { OpStart().store(0, std::memory_order_release); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 private:
  static std::atomic<Lsn>& OpStart() { return ProcArray::Self().op_start; }
};

// The smallest op_start of any running operation.
inline Lsn OldestOperation() {
  return Segment::Procs().OldestOpStart(std::numeric_limits<Lsn>::max());
}

enum class Step : uint8_t {
  kDone,
  kAgain,     // something moved: start again from the root
  kNeedRoom,  // no free page: make room, then start again
};

// Runs `step`, each time within an Operation of its own, until it is done. Makes room and waits out
// kBusy in between, when nothing is held.
Status RunSteps(FunctionRef<Result<Step>()> step);

}  // namespace warren

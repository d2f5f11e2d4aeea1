// How do several changes become one, without a client that thinks in between?
//
// A command on several keys, or EXEC with all of its commands, runs as a batch: the locks that it
// may need are collected from the arguments, taken in one order for all, then the handlers run in a
// Transaction, which is committed. If a lock can't be had because of a circle of waits, all are let
// go and the batch begins anew: nothing of it has been seen by anybody.
#pragma once

#include <cstdint>
#include <span>

#include "backend/command.h"
#include "backend/wanted_locks.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "storage/commit.h"

namespace warren {

enum class BatchEnd : uint8_t {
  kCommit,
  kRollback,  // what is replied stands, what was changed does not
};

// Runs `body` in a transaction of its own that holds `wanted`; no other is open. `body` writes
// replies and may be called again, these having been cut off. An error, its own, of the locks or of
// the commit: nothing was changed and nothing replied. Either way no lock is kept.
Status RunAsBatch(Session& session, const WantedLocks& wanted, uint64_t max_bytes,
                  FunctionRef<Result<BatchEnd>()> body);

// Makes changes that are known before, whatever is there, as a batch without a transaction:
// nothing is read, copied or undone. The views live until it returns. Otherwise as RunAsBatch.
Status CommitAsBatch(Session& session, const WantedLocks& wanted, std::span<const CommitOp> ops);

// RunAsBatch for one command, replying in any case.
void RunCommandAsBatch(Session& session, const CommandInfo& info, Args args);

}  // namespace warren

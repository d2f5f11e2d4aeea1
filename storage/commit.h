// How do a transaction's changes become one change?
//
//   1. values that are too large for a leaf are written into chains; pages and log are reserved, so
//      that nothing can fail later;
//   2. the record of the commit is put into the log, with every change in it: the commit point.
//   What
//      does not fit into one record goes before it into chunk records; without a commit record they
//      mean nothing;
//   3. the changes are made, each in the ordinary way (leaf_change.h);
//   4. an end record says that all of them are made.
//
// From the first record to the end `Proc::commit_lsn` says where the commit begins in the log:
// readers wait for whoever has it set (LockTable::ReadConflicts), a checkpoint lets redo begin
// there at the latest, and if the process dies its commit is finished from the log (FinishCommit),
// as redo finishes those that have no end record. Making a change twice is harmless; the locks are
// held until all is done.
//
// Locking: no LWLock is held by the caller; the X locks on all keys (and databases to be emptied)
// are held in the lock table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

struct CommitPlace;  // commit_record.h

// One change. The last one for a key counts; none may stand before a kEmptyDatabase of its
// database.
struct CommitOp {
  enum Kind : uint8_t { kEmptyDatabase = 1, kPut, kErase, kSetExpiry } kind = kPut;
  uint32_t database = 0;
  std::string_view key = {};
  std::string_view value = {};  // kPut
  int64_t expire_at_ms = 0;     // kPut, kSetExpiry
};

// Makes all changes, or none and returns why (kNoSpace, kIo, ...). Afterwards LastChange() covers
// them. A single change needs no commit record.
Status CommitChanges(std::span<const CommitOp> ops, int64_t now_ms);

// Makes the changes of a dead process's commit that has no end record. Nothing is done if its
// commit record was never logged. May be done again; its locks are dropped afterwards.
Status FinishCommit(Owner owner);

// Startup, alone, after redo: makes the changes of the commits that redo found without an end
// record.
Status FinishUnfinished(std::span<const CommitPlace> places);

// Changes whenever a commit of more than one change begins to be made or is done in the database:
// what many reads see between two equal, settled stamps contains no half of any transaction.
struct CommitStamp {
  uint64_t begun = 0;
  uint64_t ended = 0;
  bool settled() const { return begun == ended; }
  friend bool operator==(const CommitStamp&, const CommitStamp&) = default;
};
CommitStamp ReadCommitStamp(uint32_t database);

}  // namespace warren

// What are the bytes of a commit in the log, and what do they say?
//
//   kCommitChunk, kCommit   head: CommitHead, then that many changes
//   kCommitEnd              head: CommitEndHead
//
//   change  offset  bytes  field
//           0       1      kind (CommitOp::Kind)
//           1       1      flags: 1 expiry time follows, 2 the value is in a chain
//           2       2      database
//           4       2      key bytes
//           6       2      value bytes
//           8       ...    key, [expiry i64 ms], value or {head page u32, length u64};
//                          kEmptyDatabase: value = incarnation u32 of the tree to be taken away
//
// All records of one commit name its first one. Chunks are numbered from 0 on; the commit record
// says how many there are before it. A value that needs a chain was written into one before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "storage/commit.h"
#include "storage/wal_reader.h"

namespace warren {

struct CommitHead {
  Lsn first_lsn;       // where the commit's first record begins; 0: with this one
  uint32_t sequence;   // chunk records before this one
  uint32_t count;      // of the changes in this record
  uint64_t preceding;  // changes in the records before
  int64_t now_ms;      // the transaction's time
};
static_assert(sizeof(CommitHead) == 32);

struct CommitEndHead {
  Lsn first_lsn;
};

inline constexpr size_t kMaxCommitRecordBytes = 64 * 1024;  // of a record's body

// One change as it is logged. Views into the commit's own bytes, or the caller's.
struct LoggedChange {
  CommitOp::Kind kind = CommitOp::kPut;
  uint32_t database = 0;
  std::string_view key = {};
  std::string_view value = {};  // kPut without a chain
  PageNo head = kNoPage;        // kPut: the chain that holds the value
  uint64_t chain_bytes = 0;
  int64_t expire_at_ms = 0;
  uint32_t incarnation = 0;  // kEmptyDatabase
};

// Puts records together, one after the other.
class CommitEncoder {
 public:
  explicit CommitEncoder(int64_t now_ms);

  // False: the record is full without it.
  bool Add(const LoggedChange& change);
  bool empty() const { return head_.count == 0; }
  // The record's body if it goes into the log with `first_lsn`.
  std::span<const std::byte> Finish(Lsn first_lsn);
  // Goes on with the next record.
  void Next();

 private:
  std::byte* Extend(size_t bytes);

  CommitHead head_{};
  size_t used_ = sizeof(CommitHead);
  size_t capacity_ = 0;
  std::unique_ptr<std::byte[]> bytes_;
};

// The changes of a record; kCorrupt if it makes no sense. `bytes` (a record's head) must live on.
Result<CommitHead> DecodeCommit(std::span<const std::byte> bytes,
                                std::vector<LoggedChange>* changes);

// The first record of the commit that a chunk, commit or end record belongs to.
Result<Lsn> FirstRecordOf(const WalRecord& record);

// A commit's place in the log.
struct CommitPlace {
  Lsn first = 0;  // begin of its first record
  Lsn end = 0;    // of its commit record
};

// A commit as it was read back.
struct LoggedCommit {
  CommitPlace place;
  int64_t now_ms = 0;
  std::vector<LoggedChange> changes;
  std::vector<std::vector<std::byte>> records;  // what `changes` points into
};

// Reads it from the log's files. kCorrupt: it is not there in full.
Result<LoggedCommit> ReadCommit(const CommitPlace& place);

// Which commits of a stretch of the log are complete and have no end record?
class CommitCollector {
 public:
  Status Add(const WalRecord& record);
  std::vector<CommitPlace> Unfinished() const;

 private:
  std::map<Lsn, Lsn> end_of_;  // by first record
};

}  // namespace warren

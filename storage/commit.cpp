#include "storage/commit.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "lwlock/wait_hook.h"
#include "shmem/segment.h"
#include "storage/commit_apply.h"
#include "storage/commit_plan.h"
#include "storage/commit_record.h"
#include "storage/commit_reserve.h"
#include "storage/leaf_change.h"
#include "storage/lsn_text.h"
#include "storage/overflow.h"
#include "storage/reclaim.h"
#include "storage/storage_failure.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_time.h"

namespace warren {
namespace {

// -- Before the commit point.

// The chains of a commit's large values; they are taken back unless they are kept.
class NewChains {
 public:
  explicit NewChains(std::vector<LoggedChange>& changes) : changes_(changes) {}
  ~NewChains() {
    for (const LoggedChange& change : changes_) {
      if (!kept_ && change.head != kNoPage) DiscardChain(change.head);
    }
  }
  NewChains(const NewChains&) = delete;
  NewChains& operator=(const NewChains&) = delete;

  Status Build() {
    for (LoggedChange& change : changes_) {
      if (change.kind != CommitOp::kPut || !NeedsChain(change.key, change.value.size())) continue;
      ASSIGN_OR_RETURN(change.head, BuildChain(change.database, change.value));
      change.chain_bytes = change.value.size();
      change.value = {};
    }
    return {};
  }
  void Keep() { kept_ = true; }

 private:
  std::vector<LoggedChange>& changes_;
  bool kept_ = false;
};

std::vector<uint32_t> DatabasesOf(const std::vector<LoggedChange>& changes) {
  std::vector<uint32_t> databases;
  for (const LoggedChange& change : changes) {
    if (std::ranges::find(databases, change.database) == databases.end()) {
      databases.push_back(change.database);
    }
  }
  return databases;
}

// A repair counts the commits under way anew by these (death_repair.cpp).
void NameDatabases(Proc& proc, const std::vector<uint32_t>& databases) {
  for (auto& word : proc.commit_databases) word.store(0, std::memory_order_relaxed);
  for (const uint32_t database : databases) {
    proc.commit_databases[database / 64].fetch_or(uint64_t{1} << (database % 64));
  }
}

// Puts a commit's records into the log.
class CommitLogger {
 public:
  explicit CommitLogger(int64_t now_ms) : encoder_(now_ms) {}

  // The commit point, if it succeeds; nothing has happened if not.
  Result<CommitPlace> Log(const std::vector<LoggedChange>& changes) {
    const ChunksForgotten guard{*this};
    RETURN_IF_ERROR(LogAll(changes));
    return place_;
  }

 private:
  // Chunks without a commit record mean nothing, whether an error or an exception ended them.
  struct ChunksForgotten {
    CommitLogger& logger;
    ~ChunksForgotten() {
      if (!logger.committed_) StoreAfter(logger.proc_.commit_lsn, Lsn{0});
    }
  };

  Status LogAll(const std::vector<LoggedChange>& changes) {
    for (const LoggedChange& change : changes) {
      if (encoder_.Add(change)) continue;
      RETURN_IF_ERROR(Insert(kCommitChunk, {}));
      RETURN_IF_FAULT(kCommitChunk);
      encoder_.Next();
      CHECK(encoder_.Add(change));
    }
    RETURN_IF_ERROR(Insert(kCommit, DatabasesOf(changes)));
    committed_ = true;
    return {};
  }

  Status Insert(StorageWalType type, const std::vector<uint32_t>& begun) {
    RETURN_IF_ERROR(MarkTimeIfDue());
    const std::span<const std::byte> body = encoder_.Finish(place_.first);
    ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(body.size()));
    const bool too_late = WARREN_SEEDED_BUG(commit_place_too_late);
    if (place_.first == 0) {
      place_.first = insertion.begin();
      proc_.commit_end.store(0, std::memory_order_relaxed);
      // Before the publish: a checkpoint that begins after the record must see it.
      if (!too_late) StoreBetween(proc_.commit_lsn, place_.first);
    }
    if (type == kCommit) NameDatabases(proc_, begun);
    for (const uint32_t database : begun) {
      FAULT_POINT(kCommitCount);
      Segment::Database(database).commits_begun.fetch_add(1);
    }
    insertion.Publish(type, 0, body, {}, 0, type == kCommit ? &proc_.commit_end : nullptr);
    if (too_late) StoreBetween(proc_.commit_lsn, place_.first);
    place_.end = insertion.end();
    return {};
  }

  Proc& proc_ = ProcArray::Self();
  CommitEncoder encoder_;
  CommitPlace place_;
  bool committed_ = false;
};

// -- Behind the commit point: nothing may be given up.

constexpr int kRetryMs = 100;
constexpr int64_t kComplainEveryMs = 10'000;

// Waits a moment before the next try, and says now and then why.
class Patience {
 public:
  Status Wait(const Error& error) {
    if (MonotonicMs() >= next_line_ms_) {
      next_line_ms_ = MonotonicMs() + kComplainEveryMs;
      log::Error("a commit cannot be completed, its locks are kept until it can: {}",
                 error.message);
    }
    RETURN_IF_FAULT(kCommitWait);
    poll(nullptr, 0, kRetryMs);
    RunWaitHookIfDue();
    return {};
  }

 private:
  int64_t next_line_ms_ = 0;
};

bool MayPass(const Error& error) {
  return error.code == ErrorCode::kNoSpace || error.code == ErrorCode::kBusy;
}

// A page is damaged, and this key with it; everything else can go on, as in redo.
void NoteLost(const Error& error) { log::Error("a change of a commit is lost: {}", error.message); }

Status UnlessDamaged(Status status) {
  if (status.ok() || status.error().code != ErrorCode::kCorrupt) return status;
  NoteLost(status.error());
  return {};
}

// Makes the first of the changes, and perhaps more along with it; how many.
Result<size_t> MakeSurely(std::span<const LoggedChange> changes, int64_t now_ms) {
  for (Patience patience;;) {
    const Result<size_t> made = MakeChanges(changes, now_ms);
    if (made.ok()) return made;
    const Error& error = made.error();
    if (error.code == ErrorCode::kCorrupt) {
      NoteLost(error);
      return size_t{1};
    }
    if (StorageHasFailed()) return StorageFailure();
    if (!MayPass(error)) {
      // The start finishes the commit, if the disk lets it.
      DeclareDataFileFailed(EIO);
      return made;
    }
    RETURN_IF_ERROR(patience.Wait(error));
  }
}

Status MakeAll(const std::vector<LoggedChange>& changes, int64_t now_ms) {
  for (std::span<const LoggedChange> rest = changes; !rest.empty();) {
    RETURN_IF_FAULT(kCommitChange);
    RunWaitHookIfDue();
    ASSIGN_OR_RETURN(const size_t made, MakeSurely(rest, now_ms));
    rest = rest.subspan(made);
  }
  RETURN_IF_FAULT(kCommitEnd);
  return {};
}

Result<WalInsertion> BeginSurely(size_t body_bytes) {
  for (Patience patience;;) {
    Result<WalInsertion> insertion = WalInsertion::Begin(body_bytes);
    if (insertion.ok()) return insertion;
    if (!MayPass(insertion.error())) {
      if (!StorageHasFailed()) DeclareLogFailed(EIO);
      return insertion;
    }
    RETURN_IF_ERROR(patience.Wait(insertion.error()));
  }
}

enum class Wait : uint8_t { kNo, kForRoom };

// All changes are made. With the insert lock: a death between these stores is repaired before
// anybody else counts.
Status LogEnd(Proc& proc, Lsn first, const std::vector<uint32_t>& ended, Wait wait) {
  const CommitEndHead head{.first_lsn = first};
  ASSIGN_OR_RETURN(WalInsertion insertion, wait == Wait::kForRoom
                                               ? BeginSurely(sizeof head)
                                               : WalInsertion::Begin(sizeof head));
  insertion.Publish(kCommitEnd, 0, std::as_bytes(std::span(&head, 1)), {}, 0, nullptr);
  for (const uint32_t database : ended) {
    FAULT_POINT(kCommitCount);
    Segment::Database(database).commits_ended.fetch_add(1);
  }
  // In this order: commit_end means nothing without the other.
  StoreBetween(proc.commit_lsn, Lsn{0});
  StoreAfter(proc.commit_end, Lsn{0});
  return {};
}

// What is left to do behind the commit point. An exception (there is no memory) ends the process:
// the repair then makes the changes, while their locks are still held.
Status Complete(const std::vector<LoggedChange>& changes, int64_t now_ms, Lsn first) noexcept {
  RETURN_IF_ERROR(MakeAll(changes, now_ms));
  return LogEnd(ProcArray::Self(), first, DatabasesOf(changes), Wait::kForRoom);
}

}  // namespace

Status CommitChanges(std::span<const CommitOp> ops, int64_t now_ms) {
  ASSIGN_OR_RETURN(std::vector<LoggedChange> changes, PlanChanges(ops));
  if (changes.empty()) return {};
  NewChains chains(changes);
  RETURN_IF_ERROR(chains.Build());
  if (changes.size() == 1) {
    RETURN_IF_ERROR(MakeChange(changes.front(), now_ms));
    chains.Keep();
    return {};
  }
  CommitReserve reserve(ProcArray::SelfOwner().slot);
  RETURN_IF_ERROR(reserve.Take(NeedOf(changes)));
  ASSIGN_OR_RETURN(const CommitPlace place, CommitLogger(now_ms).Log(changes));
  chains.Keep();
  return Complete(changes, now_ms, place.first);
}

namespace {

Status FinishCommitOf(Proc& proc) {
  const CommitPlace place{proc.commit_lsn.load(), proc.commit_end.load()};
  if (place.first == 0 || WARREN_SEEDED_BUG(commit_not_finished)) return {};
  if (place.end == 0 || place.end > Wal::InsertPosition()) {  // no commit record
    StoreAfter(proc.commit_lsn, Lsn{0});
    return {};
  }
  RETURN_IF_ERROR(Wal::Flush(place.end));
  ASSIGN_OR_RETURN(const LoggedCommit commit, ReadCommit(place));
  RETURN_IF_ERROR(MakeAll(commit.changes, commit.now_ms));
  log::Notice("the commit at {} of a process that died is finished, {} changes",
              FormatLsn(place.first), commit.changes.size());
  return LogEnd(proc, place.first, DatabasesOf(commit.changes), Wait::kForRoom);
}

}  // namespace

Status FinishCommit(Owner owner) {
  Proc& proc = Segment::Procs()[owner.slot];
  if (proc.generation.load() != owner.generation) return {};
  CommitReserve reserve(owner.slot);
  Status finished = FinishCommitOf(proc);
  // Without it the next try may find a full disk.
  if (!finished.ok() || WARREN_SEEDED_BUG(reserve_stays)) reserve.Keep();
  return finished;
}

Status FinishUnfinished(std::span<const CommitPlace> places) {
  if (places.empty()) return {};
  std::vector<LoggedCommit> commits;
  std::unordered_set<PageNo> heads;
  for (const CommitPlace& place : places) {
    ASSIGN_OR_RETURN(LoggedCommit commit, ReadCommit(place));
    for (const LoggedChange& change : commit.changes) {
      if (change.head != kNoPage) heads.insert(change.head);
    }
    commits.push_back(std::move(commit));
  }
  const ChainProtection protection(std::move(heads));
  for (const LoggedCommit& commit : commits) {
    // Nobody waits: who can't start for want of room says so.
    for (const LoggedChange& change : commit.changes) {
      RETURN_IF_FAULT(kCommitChange);
      RETURN_IF_ERROR(UnlessDamaged(MakeChange(change, commit.now_ms)));
    }
    RETURN_IF_FAULT(kCommitEnd);
    RETURN_IF_ERROR(LogEnd(ProcArray::Self(), commit.place.first, {}, Wait::kNo));
  }
  log::Notice("redo: {} commits were logged and not finished; they are now", commits.size());
  return {};
}

CommitStamp ReadCommitStamp(uint32_t database) {
  const DatabaseCounts& counts = Segment::Database(database);
  // In this order: equal ones then say that nothing was under way at the first load.
  CommitStamp stamp;
  stamp.ended = counts.commits_ended.load();
  stamp.begun = counts.commits_begun.load();
  return stamp;
}

}  // namespace warren

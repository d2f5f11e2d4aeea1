// What has this session changed that nobody else may see yet?
//
// A transaction keeps its changes in private memory and touches no page before Commit, so that
// there is nothing to undo in the store: Rollback forgets them. It reads its own changes first,
// then the store. What it reads and writes is locked in the lock table until its end (strict
// two-phase locking), in a read committed one only what it writes; time stands still in it.
//
//   interactive   BEGIN ... COMMIT: keys are locked as they are met; the session keeps it
//   for one       EXEC and commands on several keys: everything is locked before, in one order for
//   batch         all (LockTable::LockAll), so that these never wait for each other in a circle
//                 (batch.h)
//
//                      an error that leaves nothing to go on with
//   open ------------------------------------------------> aborted: only the end or, if it was
//    ^  ^------------ RollbackTo, while the locks are kept ----+    kept, a savepoint helps
//    |
//    +- statement: the changes of one command, undone together if it fails half-way
//
// Not noexcept anywhere: it lives in private memory, and a process that runs out of it rolls back.
// Locking: no LWLock is held by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/wanted_locks.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "shmem/lock_table.h"
#include "shmem/stats.h"
#include "storage/commit.h"
#include "storage/store.h"

namespace warren {

// CommitChanges, for one who holds the locks of what it changes. If it can't be completed behind
// its commit point (the storage has failed), the process ends with the locks held: nobody sees a
// half, and the repair finishes it, or the next start.
Status CommitHoldingLocks(std::span<const CommitOp> ops, int64_t now_ms);

struct TransactionOptions {
  bool read_only = false;
  bool read_committed = false;  // else serializable
};

class Transaction {
 public:
  using ReadCallback = FunctionRef<void(const Current&, uint64_t value_bytes)>;
  using DecideCallback = FunctionRef<Change(const Current&, uint64_t value_bytes)>;

  // More than `max_bytes` of changes (0: no limit) abort it.
  Transaction(const TransactionOptions& options, int64_t now_ms, uint64_t max_bytes);
  ~Transaction();  // rolled back, unless it has ended
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const TransactionOptions& options() const { return options_; }
  int64_t now_ms() const { return now_ms_; }

  // -- Keys, as in storage/store.h; every callback is called once, and not if the result is an
  // error. What this transaction has changed itself has the version 0.
  Result<bool> Read(const LockWait& wait, uint32_t database, std::string_view key, NeedValue need,
                    ReadCallback read);
  // The same with the key locked for writing.
  Result<bool> ReadForUpdate(const LockWait& wait, uint32_t database, std::string_view key,
                             NeedValue need, ReadCallback read);
  Result<Change::Kind> Modify(const LockWait& wait, uint32_t database, std::string_view key,
                              NeedValue need, DecideCallback decide);
  Status Flush(const LockWait& wait, uint32_t database);

  // -- Many keys: nobody else writes in the database from the first of these to the end. A read
  // committed transaction takes no lock here, so these go inside ReadUndivided.
  // Wherever a key stands, in the store or here: in order, once. `visit` may not change anything.
  Status Scan(const LockWait& wait, uint32_t database, const Store::Range& range, NeedValue need,
              FunctionRef<bool(std::string_view key, const Current&)> visit);
  // New keys of its own come with the first step.
  Result<uint64_t> ScanStep(const LockWait& wait, uint32_t database, uint64_t cursor,
                            uint32_t count, FunctionRef<void(std::string_view key)> visit);
  Result<std::optional<std::string>> RandomKey(const LockWait& wait, uint32_t database);
  Result<uint64_t> KeyCount(const LockWait& wait, uint32_t database);

  // -- A statement: what is changed between Begin and End is undone by Undo, as if its command had
  // never been. Not nested. Both ends do nothing if an abort has thrown everything away meanwhile.
  void BeginStatement();
  void EndStatement();
  void UndoStatement();

  // -- Savepoints, innermost last; names are matched from the end. kGeneric: there is none of the
  // name.
  Status SetSavepoint(std::string_view name);
  Status RollbackTo(std::string_view name);  // it stays; locks are kept
  Status ReleaseSavepoint(std::string_view name);

  // -- An error after which only the end helps, or RollbackTo. Without savepoints, or with
  // kReleaseLocks, the changes are forgotten and the locks let go at once.
  enum class Locks : uint8_t { kKeepForSavepoints, kRelease };
  void Abort(const Error& reason, Locks locks);
  // Aborts as the error demands: most leave the transaction as it was.
  void NoteFailure(const Error& error);
  bool aborted() const { return aborted_.has_value(); }
  bool locks_released() const { return locks_released_; }
  const std::optional<Error>& abort_reason() const { return aborted_; }
  // kAborted: "current transaction is aborted (DEADLOCK ...), commands are ignored until ROLLBACK"
  Error AbortedError() const;

  // -- The end. Commit makes all changes, or none (an error); the locks are let go either way.
  Status Commit();
  void Rollback();

  size_t change_count() const { return pending_.size() + emptied_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  using Value = std::shared_ptr<const std::string>;

  // What becomes of a key at the commit.
  struct Pending {
    Change::Kind kind = Change::kPut;  // kPut, kErase, kSetExpiry
    bool base_stored = false;          // the store has a cell of the key...
    bool base_exists = false;          // ...whose time has not come
    Value value = {};                  // kPut
    int64_t expire_at_ms = kNoExpiry;  // kPut, kSetExpiry
    uint64_t saved_in = 0;             // the level that knows what stood here before
  };

  using Key = std::pair<uint32_t, std::string>;
  using KeyView = std::pair<uint32_t, std::string_view>;
  struct KeyOrder {
    using is_transparent = void;
    static KeyView View(const Key& key) { return {key.first, key.second}; }
    static KeyView View(const KeyView& key) { return key; }
    bool operator()(const auto& a, const auto& b) const { return View(a) < View(b); }
  };
  using Changes = std::map<Key, Pending, KeyOrder>;

  // What to put back: one key, or a database as it was before it was emptied.
  struct Undo {
    Key key = {};
    std::optional<Pending> former = {};
    std::unique_ptr<Changes> former_database = {};
    bool was_emptied = false;
    uint64_t bytes = 0;
  };

  // A savepoint, or the statement under way: the innermost one then.
  struct Level {
    std::string name = {};
    uint64_t id = 0;  // never used again
    size_t undo_count = 0;
    bool statement = false;
  };

  // A key as the store has it.
  struct Base {
    bool stored = false;
    bool exists = false;
  };

  // transaction.cpp
  Status LockForReading(const LockWait& wait, uint32_t database, std::string_view key);
  Status LockForWriting(const LockWait& wait, uint32_t database, std::string_view key);
  Status LockForScan(const LockWait& wait, uint32_t database);
  const Pending* Find(uint32_t database, std::string_view key) const;
  bool Emptied(uint32_t database) const { return emptied_.contains(database); }
  bool Alive(int64_t expire_at_ms) const {
    return expire_at_ms == kNoExpiry || expire_at_ms > now_ms_;
  }
  Result<bool> View(const LockWait& wait, LockLook look, KeyView key, NeedValue need,
                    ReadCallback read, Base* base) const;
  Status Apply(KeyView key, const Base& base, const Change& change);
  Status MakeRoom(uint64_t more_bytes);
  void Forget();
  void End(StatId counter);

  // transaction_scan.cpp
  class Merge;
  using ChangeRange = std::pair<Changes::const_iterator, Changes::const_iterator>;
  ChangeRange ChangesOf(uint32_t database) const;
  bool IsNew(const Pending& pending) const;
  std::vector<std::string_view> NewKeys(uint32_t database) const;
  Result<std::optional<std::string>> FirstKey(uint32_t database);

  // transaction_undo.cpp
  void Save(Changes::iterator at);
  void SaveAbsence(const Key& key);
  void SaveDatabase(uint32_t database);
  void PutBack(Undo& undo);
  void UndoTo(size_t undo_count);
  void MergeInnermostLevel();
  std::optional<size_t> FindSavepoint(std::string_view name) const;
  uint64_t CurrentLevel() const { return levels_.empty() ? 0 : levels_.back().id; }

  static uint64_t BytesOf(const Key& key, const Pending& pending);
  static uint64_t BytesOf(const Level& level);

  const TransactionOptions options_;
  const int64_t now_ms_;
  const uint64_t max_bytes_;
  bool ended_ = false;
  bool locks_released_ = false;  // by an abort
  std::optional<Error> aborted_;

  Changes pending_;
  std::set<uint32_t> emptied_;  // databases whose keys in the store are gone
  std::vector<Undo> undo_;
  std::vector<Level> levels_;
  uint64_t next_level_id_ = 1;
  uint64_t bytes_ = 0;  // of pending_ and undo_, about
};

// "ERR", "NOSPACE", ...: the word before an error's text on the wire.
std::string_view ErrorPrefix(ErrorCode code);

}  // namespace warren

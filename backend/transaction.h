// What has this session changed that nobody else may see yet?
//
// A transaction keeps its changes in private memory and touches no page before Commit, so that
// there is nothing to undo: Rollback forgets them. It reads its own changes first, then the store.
// What it reads and writes is locked in the lock table until its end (strict two-phase locking), in
// a read committed one only what it writes; time stands still in it.
//
//   interactive   BEGIN ... COMMIT: keys are locked as they are met; the session keeps it
//   for one       EXEC and commands on several keys: everything is locked before, in one order for
//   all batch         (LockAll), so that these never wait for each other in a circle
//
// Not noexcept anywhere: it lives in private memory, and a process that runs out of it rolls back.
// Locking: no LWLock is held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "shmem/lock_table.h"
#include "storage/store.h"

namespace warren {

struct TransactionOptions {
  bool read_only = false;
  bool read_committed = false;  // else serializable
};

class Transaction {
 public:
  // How its waits go: asked anew for each wait, because settings may change.
  using WaitSource = FunctionRef<LockWait()>;

  Transaction(const TransactionOptions& options, int64_t now_ms, uint64_t max_bytes);
  ~Transaction();  // rolled back, unless committed
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const TransactionOptions& options() const { return options_; }
  int64_t now_ms() const { return now_ms_; }

  // -- Keys, as in storage/store.h. `decide` is called once.
  Result<bool> Read(const LockWait& wait, uint32_t database, std::string_view key, NeedValue need,
                    FunctionRef<void(const Current&, uint64_t value_bytes)> read);
  // The same with the key locked for writing.
  Result<bool> ReadForUpdate(const LockWait& wait, uint32_t database, std::string_view key,
                             NeedValue need,
                             FunctionRef<void(const Current&, uint64_t value_bytes)> read);
  Result<Change::Kind> Modify(const LockWait& wait, uint32_t database, std::string_view key,
                              NeedValue need,
                              FunctionRef<Change(const Current&, uint64_t value_bytes)> decide);
  Status Scan(const LockWait& wait, uint32_t database, const Store::Range& range, NeedValue need,
              FunctionRef<bool(std::string_view key, const Current&)> visit);
  Result<uint64_t> ScanStep(const LockWait& wait, uint32_t database, uint64_t cursor,
                            uint32_t count, FunctionRef<void(std::string_view key)> visit);
  Result<std::optional<std::string>> RandomKey(const LockWait& wait, uint32_t database);
  Result<uint64_t> KeyCount(const LockWait& wait, uint32_t database);
  Status Flush(const LockWait& wait, uint32_t database);

  // -- For a batch: takes all locks in TagOrder, each in the strongest mode asked for. kDeadlock,
  // kLockTimeout and so on: those taken so far are held until the end.
  struct Wanted {
    LockTag tag;
    TxLockMode mode;
  };
  static Status LockAll(const LockWait& wait, std::vector<Wanted> wanted);

  // -- Savepoints, innermost last; names are matched from the end. kGeneric: there is none of the
  // name.
  void SetSavepoint(std::string_view name);
  Status RollbackTo(std::string_view name);  // it stays; locks are kept
  Status ReleaseSavepoint(std::string_view name);

  // -- An error after which only Rollback (or RollbackTo, unless the locks had to go) helps.
  void Abort(const Error& reason);
  bool aborted() const { return aborted_.has_value(); }
  // "ABORTED current transaction is aborted by DEADLOCK ..., commands are ignored until ROLLBACK"
  Error AbortedError() const;

  // -- The end. Commit makes all changes, or none (an error); the locks are let go either way.
  Status Commit();
  void Rollback();

  size_t change_count() const;

 private:
  // Of a key: what it will be. `base_exists`: it is in the store already.
  struct Pending {
    Change::Kind kind;  // kPut, kErase, kSetExpiry
    bool base_exists;
    std::string value;
    int64_t expire_at_ms;
  };
  using Key = std::pair<uint32_t, std::string>;

  const TransactionOptions options_;
  const int64_t now_ms_;
  const uint64_t max_bytes_;
  std::optional<Error> aborted_;
  // The owner completes the rest: pending changes, emptied databases, savepoints with what to undo.
};

}  // namespace warren

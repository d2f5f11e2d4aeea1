// Who may use which key, database or name, until when?
//
// The table of heavyweight locks: what a transaction or session holds for as long as it likes,
// while waiters sleep. (LWLocks guard memory for microseconds; these guard meanings.)
//
// Modes and their conflicts: lock_mode.h.
//
// Primary truth: the pool of entries, one for each owner and tag; an entry belongs to somebody from
// the one store of its `owner` on, until the one store that clears it. Chains, free lists and
// counters are derived (RelinkLockPartition). The pool is cut into partitions by the tag's hash,
// each with an LWLock of its own.
//
// Fairness: a request is granted when it agrees with everything granted to others and with every
// request that has waited longer. Who holds the tag already and wants more goes before all others.
//
// Locking: no function is called with an LWLock held, but the looks (WriteConflicts,
// ReadConflicts). What a process holds is also in private memory, so that asking for it again
// touches nothing shared. See also: lock_deadlock.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"
#include "shmem/lock_mode.h"

namespace warren {

enum class LockKind : uint8_t { kDatabase, kKey, kAdvisory };
enum class LockScope : uint8_t { kTransaction, kSession };

std::string_view LockKindName(LockKind kind);  // "database", "key", "advisory"

// What is locked. Two names with the same hash share their lock: somebody then waits in vain,
// nothing else. `name` is for people, and only its beginning is kept.
struct LockTag {
  LockKind kind = LockKind::kKey;
  uint32_t database = 0;  // 0 for advisory names
  uint64_t hash = 0;      // 0 for databases
  std::string_view name = {};
  friend bool operator==(const LockTag& a, const LockTag& b) {
    return a.kind == b.kind && a.database == b.database && a.hash == b.hash;
  }
};
LockTag DatabaseTag(uint32_t database);
LockTag KeyTag(uint32_t database, std::string_view key);
LockTag AdvisoryTag(std::string_view name);
// One order for all, in which several locks are taken: databases first, then keys as they lie in
// the table, so that those of one partition are neighbours.
bool TagOrder(const LockTag& a, const LockTag& b);

// One of several that are asked for together.
struct WantedLock {
  LockTag tag;
  TxLockMode mode;
};

// How a request waits. `attend` is called after each wake-up and says by an error that the process
// has to end (kShutdown); `client_fd` (or -1) is watched for the client's going away, which ends
// the wait with kShutdown, too.
struct LockWait {
  int64_t timeout_ms = 0;  // 0: for ever
  int64_t deadlock_timeout_ms = 100;
  int client_fd = -1;
  FunctionRef<Status()> attend;
};

class LockTable {
 public:
  // The process begins, in its slot, with no locks. For Segment::BindProcess.
  static void BindSelf();

  // -- This process's locks. A lock that is held already in a mode at least as strong is granted at
  // once; one in a weaker mode is made stronger (Union).

  // kLockTimeout, kDeadlock, kShutdown, kBusy (the pool is exhausted): what was held before is held
  // still, and nothing else has changed.
  static Status Lock(const LockTag& tag, TxLockMode mode, LockScope scope, const LockWait& wait);
  // All of them in TagOrder, each in the strongest mode asked for. An error is one of Lock's, and
  // those taken so far are held.
  static Status LockAll(std::span<const WantedLock> wanted, LockScope scope, const LockWait& wait);
  // Never waits. Was it granted? kBusy: the pool is exhausted.
  static Result<bool> TryLock(const LockTag& tag, TxLockMode mode, LockScope scope);
  // The mode that this process holds, in either scope.
  static TxLockMode Held(const LockTag& tag);
  static size_t HeldCount();
  // Gives one session lock back (advisory names). Each Lock or TryLock in the session's scope needs
  // an Unlock of its own. False: not held by this session.
  static bool Unlock(const LockTag& tag);
  static void ReleaseAll(LockScope scope);

  // -- Advisory locks only.
  // The token of the grant: larger than that of any earlier grant of any name, also of a former
  // life of the server.
  static uint64_t Token(const LockTag& tag);  // 0: not held
  // Sets the token, and when the lock lapses (WallClockUs; 0: never; nothing: as it was): from then
  // on anybody who wants it takes it away. False: somebody has done so, it is not held.
  static bool Renew(const LockTag& tag, uint64_t token, std::optional<int64_t> lapse_us);

  // -- The age of this process's transaction, for choosing who gives way in a deadlock: begins a
  // new one. Whoever never calls it is as old as its last wait.
  static void BeginTransaction();

  // -- The look of those who take no lock for a single key. Valid as long as the key's leaf is
  // locked; cheap while nobody holds anything near. noexcept, takes at most partition locks,
  // shared. Does somebody else hold or await a lock that keeps this process from writing the key?
  static bool WriteConflicts(uint32_t database, std::string_view key) noexcept;
  // Does somebody who may write the key stand past his commit point (Proc::commit_lsn), so that a
  // reader could see half of his transaction?
  static bool ReadConflicts(uint32_t database, std::string_view key) noexcept;

  // -- For a dead process: takes all that it held or awaited away, wakes whoever may go on. May be
  // done again. The process has been reaped.
  static void DropOwner(Owner owner);

  // -- For people and tests.
  struct Info {
    LockTag tag;  // name: into `name`
    std::string name;
    TxLockMode granted = TxLockMode::kNone;
    TxLockMode wanted = TxLockMode::kNone;  // kNone: does not wait
    Owner owner;
    int64_t since_us = 0;  // WallClockUs of the grant, or of the wait's begin
    uint64_t token = 0;
    std::vector<Owner> blockers;  // whom it waits for
  };
  static std::vector<Info> Snapshot();  // one partition after the other

  // What one owner has, and who waits for that: the first of each are named.
  struct OwnedLocks {
    static constexpr size_t kNamed = 8;
    struct Named {
      std::string tag;  // `key "a" of database 0`
      TxLockMode granted = TxLockMode::kNone;
      TxLockMode wanted = TxLockMode::kNone;
    };
    struct Waiter {
      Owner owner;
      std::string tag;
      int64_t since_us = 0;  // WallClockUs
    };
    size_t count = 0;
    std::vector<Named> named;
    size_t waiter_count = 0;
    std::vector<Waiter> waiters;
  };
  static OwnedLocks LocksOf(Owner owner);
  static size_t EntryCount();       // in use, by anybody
  static Status CheckInvariants();  // what is wrong, or nothing
};

// Registers the repair of a partition's lock. Before the first fork.
void RegisterLockTableRepairs();

}  // namespace warren

// What a transaction sees when it looks at many keys: the store's and its own, as one.
#include <sched.h>

#include <algorithm>
#include <random>

#include "backend/transaction.h"
#include "base/check.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr int64_t kBeforeAllExpiry = 0;
// With more of its keys erased than this, a random one is not worth looking for.
constexpr int kRandomTries = 64;

std::mt19937_64& Random() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return random;
}

// A writer looks for locks with its leaf locked and counts its key a moment later: one that looked
// before the database was locked may still be about to. Later ones see the lock. Whoever began has
// an Operation (storage/operation.h), and none of these waits for a lock or a client. kShutdown:
// this process was told to end while it waited.
Status WaitForRunningOperations(const LockWait& wait) {
  for (const Proc& proc : Segment::Procs().slots()) {
    const Lsn begun = proc.op_start.load();
    if (begun == 0 || &proc == ProcArray::SelfOrNull()) continue;
    const auto running = [&] {
      return proc.op_start.load() == begun && proc.life.load() == ProcLife::kRunning;
    };
    while (running()) {
      sched_yield();
      if (Latch::Pending()) RETURN_IF_ERROR(wait.attend());
    }
  }
  return {};
}

}  // namespace

Status Transaction::LockForScan(const LockWait& wait, uint32_t database) {
  if (aborted_) return AbortedError();
  if (options_.read_committed) return {};
  return LockTable::Lock(DatabaseTag(database), TxLockMode::kS, LockScope::kTransaction, wait);
}

Transaction::ChangeRange Transaction::ChangesOf(uint32_t database) const {
  return {pending_.lower_bound(KeyView(database, {})),
          pending_.lower_bound(KeyView(database + 1, {}))};
}

// Does the key exist only here?
bool Transaction::IsNew(const Pending& pending) const {
  return pending.kind == Change::kPut && !pending.base_exists && Alive(pending.expire_at_ms);
}

std::vector<std::string_view> Transaction::NewKeys(uint32_t database) const {
  std::vector<std::string_view> keys;
  const auto [begin, end] = ChangesOf(database);
  for (auto at = begin; at != end; ++at) {
    if (IsNew(at->second)) keys.push_back(at->first.second);
  }
  return keys;
}

// Own changes, in the order of the walk, let in between the store's keys.
class Transaction::Merge {
 public:
  using Visit = FunctionRef<bool(std::string_view key, const Current&)>;
  Merge(const Transaction& self, uint32_t database, const Store::Range& range, NeedValue need,
        Visit visit)
      : self_(self), reverse_(range.reverse), need_(need), visit_(visit) {
    const auto [begin, end] = self.ChangesOf(database);
    begin_ = begin;
    end_ = end;
    const KeyView from(database, range.from);
    if (!reverse_) {
      next_ =
          range.from_inclusive ? self.pending_.lower_bound(from) : self.pending_.upper_bound(from);
    } else if (!range.from.empty()) {
      // Backwards, next_ stands behind the key that comes next.
      next_ =
          range.from_inclusive ? self.pending_.upper_bound(from) : self.pending_.lower_bound(from);
    } else {
      next_ = end;
    }
  }

  // A key of the store. False: enough.
  bool Stored(std::string_view key, const Current& stored) {
    while (!AtEnd() && Before(Key(), key)) {
      if (!ShowOwn()) return false;
    }
    if (AtEnd() || Key() != key) {
      return !self_.Alive(stored.expire_at_ms) || Show(key, stored);
    }
    const Pending& own = Here();
    if (own.kind != Change::kSetExpiry) return ShowOwn();
    Current current = stored;
    current.expire_at_ms = own.expire_at_ms;
    current.version = 0;
    Step();
    return !self_.Alive(current.expire_at_ms) || Show(key, current);
  }

  void Rest() {
    while (more_ && !AtEnd()) ShowOwn();
  }

 private:
  bool AtEnd() const { return next_ == (reverse_ ? begin_ : end_); }
  Changes::const_iterator At() const { return reverse_ ? std::prev(next_) : next_; }
  std::string_view Key() const { return At()->first.second; }
  const Pending& Here() const { return At()->second; }
  void Step() { reverse_ ? --next_ : ++next_; }
  bool Before(std::string_view a, std::string_view b) const { return reverse_ ? a > b : a < b; }

  // A change of expiry without its key in the store can't be: the key is locked.
  bool ShowOwn() {
    const auto& [key, own] = *At();
    Step();
    if (own.kind != Change::kPut || !self_.Alive(own.expire_at_ms)) return true;
    const std::string_view value =
        need_ == NeedValue::kYes ? std::string_view(*own.value) : std::string_view{};
    return Show(key.second, {.exists = true, .value = value, .expire_at_ms = own.expire_at_ms});
  }

  bool Show(std::string_view key, const Current& current) {
    more_ = visit_(key, current);
    return more_;
  }

  const Transaction& self_;
  const bool reverse_;
  const NeedValue need_;
  const Visit visit_;
  Changes::const_iterator begin_, end_, next_;
  bool more_ = true;
};

Status Transaction::Scan(const LockWait& wait, uint32_t database, const Store::Range& range,
                         NeedValue need,
                         FunctionRef<bool(std::string_view key, const Current&)> visit) {
  RETURN_IF_ERROR(LockForScan(wait, database));
  Merge merge(*this, database, range, need, visit);
  if (!Emptied(database)) {
    // The store shows what has expired, too: its time may have been changed here.
    RETURN_IF_ERROR(Store::Scan(
        database, range, kBeforeAllExpiry, need,
        [&](std::string_view key, const Current& stored) { return merge.Stored(key, stored); }));
  }
  merge.Rest();
  return {};
}

Result<uint64_t> Transaction::ScanStep(const LockWait& wait, uint32_t database, uint64_t cursor,
                                       uint32_t count,
                                       FunctionRef<void(std::string_view key)> visit) {
  RETURN_IF_ERROR(LockForScan(wait, database));
  if (cursor == 0) {
    for (const std::string_view key : NewKeys(database)) visit(key);
  }
  if (Emptied(database)) return 0;
  return Store::ScanStep(database, cursor, count, now_ms_, [&](std::string_view key) {
    const Pending* own = Find(database, key);
    if (own == nullptr || (own->kind != Change::kErase && Alive(own->expire_at_ms))) visit(key);
  });
}

Result<std::optional<std::string>> Transaction::FirstKey(uint32_t database) {
  std::optional<std::string> first;
  const auto take = [&](std::string_view key, const Current&) {
    first = key;
    return false;
  };
  Merge merge(*this, database, {}, NeedValue::kNo, take);
  if (!Emptied(database)) {
    RETURN_IF_ERROR(Store::Scan(
        database, {}, kBeforeAllExpiry, NeedValue::kNo,
        [&](std::string_view key, const Current& stored) { return merge.Stored(key, stored); }));
  }
  merge.Rest();
  return first;
}

// Each key about as likely as any other: its own new ones by their share of all.
Result<std::optional<std::string>> Transaction::RandomKey(const LockWait& wait, uint32_t database) {
  RETURN_IF_ERROR(LockForScan(wait, database));
  const std::vector<std::string_view> own = NewKeys(database);
  const uint64_t stored = Emptied(database) ? 0 : Store::KeyCount(database);
  if (own.empty() && stored == 0) return std::optional<std::string>();
  const uint64_t drawn =
      std::uniform_int_distribution<uint64_t>(0, own.size() + stored - 1)(Random());
  if (drawn < own.size()) return std::optional(std::string(own[drawn]));
  for (int tries = 0; tries < kRandomTries; ++tries) {
    ASSIGN_OR_RETURN(auto key, Store::RandomKey(database, now_ms_));
    if (!key) break;
    const Pending* change = Find(database, *key);
    if (change == nullptr || (change->kind != Change::kErase && Alive(change->expire_at_ms))) {
      return key;
    }
  }
  return FirstKey(database);
}

Result<uint64_t> Transaction::KeyCount(const LockWait& wait, uint32_t database) {
  RETURN_IF_ERROR(LockForScan(wait, database));
  uint64_t count = 0;
  if (!Emptied(database)) {
    if (!options_.read_committed) RETURN_IF_ERROR(WaitForRunningOperations(wait));
    count = Store::KeyCount(database);
  }
  const auto [begin, end] = ChangesOf(database);
  for (auto at = begin; at != end; ++at) {
    const Pending& own = at->second;
    if (own.kind == Change::kPut && !own.base_stored) ++count;
    if (own.kind == Change::kErase && own.base_stored) --count;
  }
  return count;
}

}  // namespace warren

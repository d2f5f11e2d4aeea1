// Single keys, errors and the end. Many keys: transaction_scan.cpp; what is taken back before the
// end: transaction_undo.cpp.
#include "backend/transaction.h"

#include <algorithm>

#include "backend/settled_read.h"
#include "base/check.h"
#include "base/log.h"
#include "base/seeded_bug.h"
#include "shmem/proc.h"
#include "shmem/stats.h"

namespace warren {

Status CommitHoldingLocks(std::span<const CommitOp> ops, int64_t now_ms) {
  Status status = CommitChanges(ops, now_ms);
  if (!status.ok() && ProcArray::Self().commit_lsn.load() != 0) {
    log::Error("a commit cannot be completed: {}", status.error().message);
    ProcArray::AbortDeclaredClean();
  }
  return status;
}
namespace {

// What a change costs beside key and value: its node, two heap headers, a lock.
constexpr uint64_t kChangeBytes = 192;
// Of the text of a first error, what is said with every later command.
constexpr size_t kShownReasonBytes = 200;
// Time at which nothing has expired: the store shall show what it has.
constexpr int64_t kBeforeAllExpiry = 0;

}  // namespace

Transaction::Transaction(const TransactionOptions& options, int64_t now_ms, uint64_t max_bytes)
    : options_(options), now_ms_(now_ms), max_bytes_(max_bytes) {}

Transaction::~Transaction() { Rollback(); }

uint64_t Transaction::BytesOf(const Key& key, const Pending& pending) {
  return kChangeBytes + key.second.size() + (pending.value ? pending.value->size() : 0);
}

// -- Locks.

Status Transaction::LockForReading(const LockWait& wait, uint32_t database, std::string_view key) {
  if (aborted_) return AbortedError();
  if (options_.read_committed) return {};
  const LockTag whole = DatabaseTag(database);
  const TxLockMode held = LockTable::Held(whole);
  if (held == TxLockMode::kS || held == TxLockMode::kX) return {};
  RETURN_IF_ERROR(LockTable::Lock(whole, TxLockMode::kIS, LockScope::kTransaction, wait));
  return LockTable::Lock(KeyTag(database, key), TxLockMode::kS, LockScope::kTransaction, wait);
}

Status Transaction::LockForWriting(const LockWait& wait, uint32_t database, std::string_view key) {
  if (aborted_) return AbortedError();
  const LockTag whole = DatabaseTag(database);
  // A database that was read as a whole becomes this transaction's own.
  RETURN_IF_ERROR(LockTable::Lock(whole, TxLockMode::kIX, LockScope::kTransaction, wait));
  if (LockTable::Held(whole) == TxLockMode::kX) return {};
  return LockTable::Lock(KeyTag(database, key), TxLockMode::kX, LockScope::kTransaction, wait);
}

// -- Reading.

const Transaction::Pending* Transaction::Find(uint32_t database, std::string_view key) const {
  const auto at = pending_.find(KeyView(database, key));
  return at == pending_.end() ? nullptr : &at->second;
}

// The key as it will be if this transaction commits; `base` gets what the store has, where that is
// not known from a change made before.
Result<bool> Transaction::View(const LockWait& wait, LockLook look, KeyView key, NeedValue need,
                               ReadCallback read, Base* base) const {
  const Pending* own = Find(key.first, key.second);
  if (own != nullptr) *base = {.stored = own->base_stored, .exists = own->base_exists};
  if (own != nullptr && own->kind == Change::kPut && Alive(own->expire_at_ms)) {
    const std::string_view value = *own->value;
    read({.exists = true,
          .value = need == NeedValue::kYes ? value : std::string_view{},
          .expire_at_ms = own->expire_at_ms},
         value.size());
    return true;
  }
  const bool in_store = own != nullptr ? own->kind == Change::kSetExpiry : !Emptied(key.first);
  if (!in_store) {
    read(Current{}, 0);
    return false;
  }
  bool exists = false;
  const auto show = [&](const Current& stored, uint64_t value_bytes) {
    *base = {.stored = stored.exists, .exists = stored.exists && Alive(stored.expire_at_ms)};
    Current current = stored;
    if (own != nullptr) {
      current.expire_at_ms = own->expire_at_ms;
      current.version = 0;
    }
    exists = stored.exists && Alive(current.expire_at_ms);
    exists ? read(current, value_bytes) : read(Current{}, 0);
  };
  const auto [database, name] = key;
  RETURN_IF_ERROR(look == LockLook::kHolder
                      ? Store::Read(database, name, kBeforeAllExpiry, need, show, LockLook::kHolder)
                      : ReadSettled(wait, database, name, kBeforeAllExpiry, need, show));
  return exists;
}

Result<bool> Transaction::Read(const LockWait& wait, uint32_t database, std::string_view key,
                               NeedValue need, ReadCallback read) {
  Base base;
  if (WARREN_SEEDED_BUG(read_before_grant)) {
    const auto seen = View(wait, LockLook::kHolder, {database, key}, need, read, &base);
    RETURN_IF_ERROR(LockForReading(wait, database, key));
    return seen;
  }
  RETURN_IF_ERROR(LockForReading(wait, database, key));
  const LockLook look = options_.read_committed ? LockLook::kLook : LockLook::kHolder;
  return View(wait, look, {database, key}, need, read, &base);
}

Result<bool> Transaction::ReadForUpdate(const LockWait& wait, uint32_t database,
                                        std::string_view key, NeedValue need, ReadCallback read) {
  RETURN_IF_ERROR(LockForWriting(wait, database, key));
  Base base;
  return View(wait, LockLook::kHolder, {database, key}, need, read, &base);
}

// -- Changing.

Status Transaction::MakeRoom(uint64_t more_bytes) {
  if (max_bytes_ == 0 || bytes_ + more_bytes <= max_bytes_) return {};
  const Error error =
      MakeError(ErrorCode::kGeneric, "transaction needs more than transaction_max_memory, {} bytes",
                max_bytes_);
  Abort(error, Locks::kKeepForSavepoints);
  return error;
}

Result<Change::Kind> Transaction::Modify(const LockWait& wait, uint32_t database,
                                         std::string_view key, NeedValue need,
                                         DecideCallback decide) {
  if (options_.read_only) {
    return MakeError(ErrorCode::kGeneric, "a read-only transaction may not write");
  }
  RETURN_IF_ERROR(LockForWriting(wait, database, key));
  Base base;
  Change change;
  bool exists = false;
  const auto read = [&](const Current& current, uint64_t value_bytes) {
    change = decide(current, value_bytes);
    exists = current.exists;
  };
  RETURN_IF_ERROR(View(wait, LockLook::kHolder, {database, key}, need, read, &base));
  if (change.kind == Change::kKeep || (!exists && change.kind != Change::kPut)) {
    return Change::kKeep;
  }
  RETURN_IF_ERROR(Apply({database, key}, base, change));
  return change.kind;
}

// Of a key that exists, unless it is put.
Status Transaction::Apply(KeyView key, const Base& base, const Change& change) {
  const uint64_t value_bytes = change.kind == Change::kPut ? change.value.size() : 0;
  RETURN_IF_ERROR(MakeRoom(kChangeBytes + key.second.size() + value_bytes));
  auto at = pending_.find(key);
  Pending next{.kind = change.kind,
               .base_stored = base.stored,
               .base_exists = base.exists,
               .expire_at_ms = change.kind == Change::kErase ? kNoExpiry : change.expire_at_ms};
  if (change.kind == Change::kPut) next.value = std::make_shared<const std::string>(change.value);
  if (change.kind == Change::kSetExpiry && at != pending_.end() &&
      at->second.kind == Change::kPut) {
    next.kind = Change::kPut;
    next.value = at->second.value;
  }
  if (at == pending_.end()) {
    Key name(key);
    SaveAbsence(name);
    at = pending_.emplace(std::move(name), Pending{}).first;
  } else {
    Save(at);
    bytes_ -= BytesOf(at->first, at->second);
  }
  next.saved_in = CurrentLevel();
  at->second = std::move(next);
  bytes_ += BytesOf(at->first, at->second);
  return {};
}

Status Transaction::Flush(const LockWait& wait, uint32_t database) {
  if (aborted_) return AbortedError();
  if (options_.read_only) {
    return MakeError(ErrorCode::kGeneric, "a read-only transaction may not write");
  }
  RETURN_IF_ERROR(
      LockTable::Lock(DatabaseTag(database), TxLockMode::kX, LockScope::kTransaction, wait));
  RETURN_IF_ERROR(MakeRoom(kChangeBytes));
  SaveDatabase(database);
  emptied_.insert(database);
  return {};
}

// -- Errors.

// Also where there is no memory: nothing is allocated.
void Transaction::Forget() {
  pending_.clear();
  emptied_.clear();
  undo_.clear();
  levels_.clear();
  bytes_ = 0;
}

void Transaction::Abort(const Error& reason, Locks locks) {
  const bool savepoints =
      std::any_of(levels_.begin(), levels_.end(), [](const Level& l) { return !l.statement; });
  if (!aborted_) aborted_ = reason;
  if (locks_released_ || (savepoints && locks == Locks::kKeepForSavepoints)) return;
  Forget();
  locks_released_ = true;
  LockTable::ReleaseAll(LockScope::kTransaction);
}

void Transaction::NoteFailure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kDeadlock:  // the others on the circle wait for what is held here
    case ErrorCode::kShutdown:
      return Abort(error, Locks::kRelease);
    case ErrorCode::kLockTimeout:
    case ErrorCode::kNoSpace:
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
      return Abort(error, Locks::kKeepForSavepoints);
    case ErrorCode::kGeneric:
    case ErrorCode::kBusy:
    case ErrorCode::kConflict:
    case ErrorCode::kAborted:
      return;
  }
}

Error Transaction::AbortedError() const {
  CHECK(aborted_.has_value(), "asked for the reason of no abort");
  std::string reason = aborted_->message;
  if (reason.size() > kShownReasonBytes) reason = reason.substr(0, kShownReasonBytes) + "...";
  return MakeError(ErrorCode::kAborted,
                   "current transaction is aborted ({} {}), commands are ignored until ROLLBACK",
                   ErrorPrefix(aborted_->code), reason);
}

std::string_view ErrorPrefix(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoSpace:
      return "NOSPACE";
    case ErrorCode::kCorrupt:
      return "CORRUPT";
    case ErrorCode::kIo:
      return "IOERR";
    case ErrorCode::kBusy:
      return "BUSY";
    case ErrorCode::kDeadlock:
      return "DEADLOCK";
    case ErrorCode::kLockTimeout:
      return "LOCKTIMEOUT";
    case ErrorCode::kAborted:
      return "ABORTED";
    case ErrorCode::kGeneric:
    case ErrorCode::kShutdown:
    case ErrorCode::kConflict:
      break;
  }
  return "ERR";
}

// -- The end.

Status Transaction::Commit() {
  if (aborted_) {
    Error error = AbortedError();
    Rollback();
    return error;
  }
  std::vector<CommitOp> ops;
  ops.reserve(change_count());
  for (const uint32_t database : emptied_) {
    ops.push_back({.kind = CommitOp::kEmptyDatabase, .database = database});
  }
  for (const auto& [key, pending] : pending_) {
    const CommitOp::Kind kind = pending.kind == Change::kPut     ? CommitOp::kPut
                                : pending.kind == Change::kErase ? CommitOp::kErase
                                                                 : CommitOp::kSetExpiry;
    ops.push_back({.kind = kind,
                   .database = key.first,
                   .key = key.second,
                   .value = pending.value ? std::string_view(*pending.value) : std::string_view{},
                   .expire_at_ms = pending.expire_at_ms});
  }
  Status status;
  if (!ops.empty()) status = CommitHoldingLocks(ops, now_ms_);
  End(status.ok() ? StatId::kTransactionsCommitted : StatId::kTransactionsRolledBack);
  return status;
}

void Transaction::Rollback() {
  if (!ended_) End(StatId::kTransactionsRolledBack);
}

void Transaction::End(StatId counter) {
  ended_ = true;
  Stats::Add(counter);
  Forget();
  LockTable::ReleaseAll(LockScope::kTransaction);
}

}  // namespace warren

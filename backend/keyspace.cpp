#include "backend/keyspace.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backend/arguments.h"
#include "backend/batch.h"
#include "backend/settled_read.h"
#include "backend/transaction.h"
#include "backend/wanted_locks.h"
#include "conf/settings.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/leaf_hint.h"

namespace warren {
namespace {

constexpr size_t kReplyRoomBytes = 4096;

// The store knows no longer keys, whatever max_key_size says.
bool CanExist(std::string_view key) { return key.size() <= kMaxKeyBytesLimit; }

void MakeReplyRoom(Session& session) {
  std::string& out = session.output();
  if (out.capacity() - out.size() < kReplyRoomBytes) out.reserve(out.size() + kReplyRoomBytes);
}

Status CheckKeyBytes(std::string_view key) {
  const uint64_t limit = GetSettings().max_key_size_bytes;
  if (key.size() <= limit) return {};
  return MakeError(ErrorCode::kGeneric, "key is {} bytes long, max_key_size is {}", key.size(),
                   limit);
}

// `read` is always called, also for a key that no store could hold.
Result<bool> Read(Session& session, uint32_t database, std::string_view key, NeedValue need,
                  ReadCallback read) {
  if (!CanExist(key)) {
    read(Current{}, 0);
    return false;
  }
  MakeReplyRoom(session);
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->Read(session.lock_wait(), database, key, need, read);
  }
  Result<bool> found = Store::Read(database, key, session.now_ms(), need, read);
  if (found.ok() || found.error().code != ErrorCode::kConflict) return found;
  return ReadSettled(session.lock_wait(), database, key, session.now_ms(), need, read);
}

// The lock of one key for one change, outside of transactions.
class KeyLock {
 public:
  KeyLock(uint32_t database, std::string_view key)
      : database_(DatabaseTag(database)), key_(KeyTag(database, key)) {}
  ~KeyLock() {
    if (has_key_) LockTable::Unlock(key_);
    if (has_database_) LockTable::Unlock(database_);
  }
  KeyLock(const KeyLock&) = delete;
  KeyLock& operator=(const KeyLock&) = delete;

  Status Lock(const LockWait& wait) {
    RETURN_IF_ERROR(LockTable::Lock(database_, TxLockMode::kIX, LockScope::kSession, wait));
    has_database_ = true;
    RETURN_IF_ERROR(LockTable::Lock(key_, TxLockMode::kX, LockScope::kSession, wait));
    has_key_ = true;
    return {};
  }

 private:
  const LockTag database_, key_;
  bool has_database_ = false, has_key_ = false;
};

// Queues up with whoever has the key locked. In a circle of waits this one lets go, and then queues
// up behind those whom it stood in the way of: nobody would understand DEADLOCK as the answer to a
// single SET.
Result<Change::Kind> ModifyAsHolder(Session& session, uint32_t database, std::string_view key,
                                    NeedValue need, DecideCallback decide) {
  for (;;) {
    KeyLock lock(database, key);
    if (Status locked = lock.Lock(session.lock_wait()); !locked.ok()) {
      if (locked.error().code == ErrorCode::kDeadlock) continue;
      return locked.error();
    }
    session.RenewTime();  // the wait may have been long
    return Store::Modify(database, key, session.now_ms(), need, decide, LockLook::kHolder);
  }
}

Result<Change::Kind> ModifyKey(Session& session, uint32_t database, std::string_view key,
                               NeedValue need, DecideCallback decide) {
  MakeReplyRoom(session);
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->Modify(session.lock_wait(), database, key, need, decide);
  }
  Result<Change::Kind> done = Store::Modify(database, key, session.now_ms(), need, decide);
  if (done.ok() || done.error().code != ErrorCode::kConflict) return done;
  return ModifyAsHolder(session, database, key, need, decide);
}

// -- Several keys at one moment.

// How often they are read without locks before locks are taken, and on how many keys at most.
constexpr int kFreeTries = 4;
constexpr size_t kMostKeyLocks = 1000;

// To be called before each of several keys is looked for: asks for the next ones' leaves in time.
void PrefetchNext(const Session& session, Args keys, size_t i) {
  if (keys.size() == 1 || i % kMostPrefetched != 0) return;
  const size_t count = std::min(keys.size() - i, kMostPrefetched);
  PrefetchLeaves(session.database(), keys.subspan(i, count));
}

Status LookUpEach(Session& session, Args keys, NeedValue need, IndexedReadCallback read) {
  for (size_t i = 0; i < keys.size() && !session.reply().overflowed(); ++i) {
    PrefetchNext(session, keys, i);
    RETURN_IF_ERROR(LookUp(session, keys[i], need,
                           [&](const Current& current, uint64_t) { read(i, current); }));
  }
  return {};
}

// Whoever is in the midst of a commit is waited for, and the key then read with its leaf's stamp.
Result<bool> ReadStamped(Session& session, std::string_view key, NeedValue need, ReadCallback read,
                         LeafStamp* leaf) {
  for (;;) {
    Result<bool> found =
        Store::Read(session.database(), key, session.now_ms(), need, read, LockLook::kLook, leaf);
    if (found.ok() || found.error().code != ErrorCode::kConflict) return found;
    RETURN_IF_ERROR(ReadSettled(session.lock_wait(), session.database(), key, session.now_ms(),
                                NeedValue::kNo, [](const Current&, uint64_t) {}));
  }
}

// Was it one moment?
Result<bool> TryTogether(Session& session, Args keys, NeedValue need, IndexedReadCallback read) {
  std::vector<LeafStamp> leaves;
  size_t hits = 0;
  for (size_t i = 0; i < keys.size() && !session.reply().overflowed(); ++i) {
    PrefetchNext(session, keys, i);
    if (!CanExist(keys[i])) {
      read(i, Current{});
      continue;
    }
    MakeReplyRoom(session);
    LeafStamp leaf;
    ASSIGN_OR_RETURN(const bool found,
                     ReadStamped(
                         session, keys[i], need,
                         [&](const Current& current, uint64_t) { read(i, current); }, &leaf));
    hits += found ? 1 : 0;
    if (leaves.empty() || leaves.back() != leaf) leaves.push_back(leaf);
  }
  if (!std::ranges::all_of(leaves, Store::Unchanged)) return false;
  Stats::Add(StatId::kKeyspaceHits, hits);
  Stats::Add(StatId::kKeyspaceMisses, keys.size() - hits);
  return true;
}

Status AsStatus(Result<bool>&& result) {
  if (!result.ok()) return std::move(result).error();
  return {};
}

}  // namespace

void ReplyError(Session& session, const Error& error) {
  if (session.transaction() != nullptr) session.transaction()->NoteFailure(error);
  session.reply().Error(fmt::format("{} {}", ErrorPrefix(error.code), error.message));
  if (error.code == ErrorCode::kShutdown) session.Close(CloseReason::kShutdown);
}

void CountLookUp(bool found) {
  Stats::Add(found ? StatId::kKeyspaceHits : StatId::kKeyspaceMisses);
}

Status Peek(Session& session, uint32_t database, std::string_view key, NeedValue need,
            ReadCallback read) {
  return AsStatus(Read(session, database, key, need, read));
}

Result<bool> Peek(Session& session, uint32_t database, std::string_view key) {
  return Read(session, database, key, NeedValue::kNo, [](const Current&, uint64_t) {});
}

Status LookUp(Session& session, std::string_view key, NeedValue need, ReadCallback read) {
  Result<bool> found = Read(session, session.database(), key, need, read);
  if (found.ok()) CountLookUp(*found);
  return AsStatus(std::move(found));
}

Result<bool> LookUp(Session& session, std::string_view key) {
  Result<bool> found = Peek(session, session.database(), key);
  if (found.ok()) CountLookUp(*found);
  return found;
}

Status LookUpTogether(Session& session, Args keys, NeedValue need, IndexedReadCallback read) {
  if (keys.size() == 1) return LookUpEach(session, keys, need, read);
  if (session.transaction() != nullptr) {
    return Undivided(session, [&] { return LookUpEach(session, keys, need, read); });
  }
  const size_t start = session.output().size();
  for (int tries = 0; tries < kFreeTries; ++tries) {
    session.output().resize(start);
    ASSIGN_OR_RETURN(const bool one_moment, TryTogether(session, keys, need, read));
    if (one_moment) return {};
  }
  session.output().resize(start);
  WantedLocks wanted;
  if (keys.size() > kMostKeyLocks) {
    WantDatabase(session.database(), TxLockMode::kS, &wanted);
  } else {
    for (const std::string_view key : keys) {
      WantKey(session.database(), key, TxLockMode::kS, &wanted);
    }
  }
  return RunAsBatch(session, wanted, 0, [&]() -> Result<BatchEnd> {
    RETURN_IF_ERROR(LookUpEach(session, keys, need, read));
    return BatchEnd::kRollback;
  });
}

Result<Change::Kind> Modify(Session& session, uint32_t database, std::string_view key,
                            NeedValue need, DecideCallback decide) {
  RETURN_IF_ERROR(CheckKeyBytes(key));
  return ModifyKey(session, database, key, need, decide);
}

Result<Change::Kind> ModifyExisting(Session& session, std::string_view key, NeedValue need,
                                    DecideCallback decide) {
  if (!CanExist(key)) {
    decide(Current{}, 0);
    return Change::kKeep;
  }
  return ModifyKey(session, session.database(), key, need, decide);
}

Status Put(Session& session, uint32_t database, std::string_view key, std::string_view value,
           int64_t expire_at_ms) {
  RETURN_IF_ERROR(
      Modify(session, database, key, NeedValue::kNo, [&](const Current& current, uint64_t) {
        return PutUnlessPast(session, current, value, expire_at_ms);
      }));
  return {};
}

Status PutTogether(Session& session, Args pairs) {
  const uint32_t database = session.database();
  if (session.transaction() != nullptr || pairs.size() == 2) {
    for (size_t i = 0; i < pairs.size(); i += 2) {
      RETURN_IF_ERROR(Put(session, database, pairs[i], pairs[i + 1], kNoExpiry));
    }
    return {};
  }
  std::vector<CommitOp> ops;
  ops.reserve(pairs.size() / 2);
  WantedLocks wanted;
  wanted.reserve(ops.capacity() + 1);
  WantDatabase(database, TxLockMode::kIX, &wanted);
  for (size_t i = 0; i < pairs.size(); i += 2) {
    RETURN_IF_ERROR(CheckKeyBytes(pairs[i]));
    wanted.push_back({KeyTag(database, pairs[i]), TxLockMode::kX});
    ops.push_back(
        {.kind = CommitOp::kPut, .database = database, .key = pairs[i], .value = pairs[i + 1]});
  }
  return CommitAsBatch(session, wanted, ops);
}

Result<bool> Erase(Session& session, uint32_t database, std::string_view key) {
  if (!CanExist(key)) return false;
  bool found = false;
  RETURN_IF_ERROR(
      ModifyKey(session, database, key, NeedValue::kNo, [&](const Current& current, uint64_t) {
        found = current.exists;
        return Change{.kind = found ? Change::kErase : Change::kKeep};
      }));
  return found;
}

Change PutUnlessPast(const Session& session, const Current& current, std::string_view value,
                     int64_t expire_at_ms) {
  if (expire_at_ms != kNoExpiry && expire_at_ms <= session.now_ms()) {
    return {.kind = current.exists ? Change::kErase : Change::kKeep};
  }
  return {.kind = Change::kPut, .value = value, .expire_at_ms = expire_at_ms};
}

Status LookUpForUpdate(Session& session, std::string_view key, NeedValue need, ReadCallback read) {
  RETURN_IF_ERROR(CheckKeyBytes(key));
  MakeReplyRoom(session);
  Result<bool> found = session.transaction()->ReadForUpdate(session.lock_wait(), session.database(),
                                                            key, need, read);
  if (found.ok()) CountLookUp(*found);
  return AsStatus(std::move(found));
}

Status Undivided(Session& session, FunctionRef<Status()> read) {
  const Transaction* const transaction = session.transaction();
  // A serialisable one's locks keep what was read as it is.
  if (transaction != nullptr && !transaction->options().read_committed) return read();
  const size_t start = session.output().size();
  return ReadUndivided(session.lock_wait(), session.database(), [&] {
    session.output().resize(start);
    return read();
  });
}

Status ScanKeys(Session& session, const Store::Range& range, NeedValue need,
                FunctionRef<bool(std::string_view key, const Current&)> visit) {
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->Scan(session.lock_wait(), session.database(), range, need, visit);
  }
  return Store::Scan(session.database(), range, session.now_ms(), need, visit);
}

Result<uint64_t> ScanKeysStep(Session& session, uint64_t cursor, uint32_t count,
                              FunctionRef<void(std::string_view key)> visit) {
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->ScanStep(session.lock_wait(), session.database(), cursor, count, visit);
  }
  return Store::ScanStep(session.database(), cursor, count, session.now_ms(), visit);
}

Result<std::optional<std::string>> FindRandomKey(Session& session) {
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->RandomKey(session.lock_wait(), session.database());
  }
  return Store::RandomKey(session.database(), session.now_ms());
}

Result<uint64_t> CountKeys(Session& session) {
  if (Transaction* const transaction = session.transaction(); transaction != nullptr) {
    return transaction->KeyCount(session.lock_wait(), session.database());
  }
  return Store::KeyCount(session.database());
}

Status EmptyDatabase(Session& session, uint32_t database) {
  return session.transaction()->Flush(session.lock_wait(), database);
}

Result<uint32_t> DatabaseArgument(std::string_view text) {
  ASSIGN_OR_RETURN(const int database, IntArgument(text));
  if (database < 0 || static_cast<uint32_t>(database) >= Segment::Config().database_count) {
    return MakeError(ErrorCode::kGeneric, "DB index is out of range");
  }
  return static_cast<uint32_t>(database);
}

Error NoSuchKey() { return MakeError(ErrorCode::kGeneric, "no such key"); }

}  // namespace warren

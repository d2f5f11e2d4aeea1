#include "backend/keyspace.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "backend/arguments.h"
#include "conf/settings.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

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

std::string_view PrefixOf(ErrorCode code) {
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

// `read` is always called, also for a key that no store could hold.
Result<bool> Read(Session& session, uint32_t database, std::string_view key, NeedValue need,
                  ReadCallback read) {
  if (!CanExist(key)) {
    read(Current{}, 0);
    return false;
  }
  MakeReplyRoom(session);
  return Store::Read(database, key, session.now_ms(), need, read);
}

Status AsStatus(Result<bool>&& result) {
  if (!result.ok()) return std::move(result).error();
  return {};
}

}  // namespace

void ReplyError(Session& session, const Error& error) {
  session.reply().Error(fmt::format("{} {}", PrefixOf(error.code), error.message));
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

Result<Change::Kind> Modify(Session& session, uint32_t database, std::string_view key,
                            NeedValue need, DecideCallback decide) {
  RETURN_IF_ERROR(CheckKeyBytes(key));
  MakeReplyRoom(session);
  return Store::Modify(database, key, session.now_ms(), need, decide);
}

Result<Change::Kind> ModifyExisting(Session& session, std::string_view key, NeedValue need,
                                    DecideCallback decide) {
  if (!CanExist(key)) {
    decide(Current{}, 0);
    return Change::kKeep;
  }
  MakeReplyRoom(session);
  return Store::Modify(session.database(), key, session.now_ms(), need, decide);
}

Status Put(Session& session, uint32_t database, std::string_view key, std::string_view value,
           int64_t expire_at_ms) {
  RETURN_IF_ERROR(
      Modify(session, database, key, NeedValue::kNo, [&](const Current& current, uint64_t) {
        return PutUnlessPast(session, current, value, expire_at_ms);
      }));
  return {};
}

Result<bool> Erase(Session& session, uint32_t database, std::string_view key) {
  if (!CanExist(key)) return false;
  bool found = false;
  RETURN_IF_ERROR(Store::Modify(database, key, session.now_ms(), NeedValue::kNo,
                                [&](const Current& current, uint64_t) {
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

Result<uint32_t> DatabaseArgument(std::string_view text) {
  ASSIGN_OR_RETURN(const int database, IntArgument(text));
  if (database < 0 || static_cast<uint32_t>(database) >= Segment::Config().database_count) {
    return MakeError(ErrorCode::kGeneric, "DB index is out of range");
  }
  return static_cast<uint32_t>(database);
}

Error NoSuchKey() { return MakeError(ErrorCode::kGeneric, "no such key"); }

}  // namespace warren

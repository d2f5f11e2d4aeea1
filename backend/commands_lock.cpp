#include "backend/commands_lock.h"

#include <algorithm>
#include <optional>

#include "backend/arguments.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "conf/settings.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "storage/fencing.h"

namespace warren {
namespace {

struct LockRequest {
  LockTag tag;
  TxLockMode mode = TxLockMode::kX;
  LockScope scope = LockScope::kSession;
  std::optional<int64_t> timeout_ms = std::nullopt;
  int64_t ttl_ms = 0;  // 0: none
};

// So that a time in microseconds from now on can be told.
constexpr int64_t kLongestMs = int64_t{1} << 40;

Result<int64_t> Milliseconds(std::string_view name, std::string_view text, int64_t least) {
  ASSIGN_OR_RETURN(const int64_t ms, IntegerArgument(text));
  if (ms >= least && ms <= kLongestMs) return ms;
  return MakeError(ErrorCode::kGeneric, "{} must be between {} and {} milliseconds", name, least,
                   kLongestMs);
}

enum class MayWait : uint8_t { kNo, kYes };

Result<LockRequest> ParseRequest(Session& session, Args args, MayWait may_wait) {
  LockRequest request{.tag = AdvisoryTag(args[1])};
  for (size_t i = 2; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (EqualsIgnoreCase(args[i], "SHARED")) {
      request.mode = TxLockMode::kS;
    } else if (EqualsIgnoreCase(args[i], "TRANSACTION")) {
      request.scope = LockScope::kTransaction;
    } else if (EqualsIgnoreCase(args[i], "TTL") && more) {
      ASSIGN_OR_RETURN(request.ttl_ms, Milliseconds("TTL", args[++i], 1));
    } else if (EqualsIgnoreCase(args[i], "TIMEOUT") && more && may_wait == MayWait::kYes) {
      ASSIGN_OR_RETURN(request.timeout_ms, Milliseconds("TIMEOUT", args[++i], 0));
    } else {
      return SyntaxError();
    }
  }
  if (request.scope == LockScope::kTransaction && !session.in_transaction()) {
    return MakeError(ErrorCode::kGeneric, "there is no transaction that could hold the lock");
  }
  return request;
}

// Was it granted before the request's own timeout? That lock_timeout has passed is an error.
Result<bool> Await(Session& session, const LockRequest& request) {
  if (request.timeout_ms == 0) {
    return LockTable::TryLock(request.tag, request.mode, request.scope);
  }
  LockWait wait = session.lock_wait();
  const bool own =
      request.timeout_ms && (wait.timeout_ms == 0 || *request.timeout_ms < wait.timeout_ms);
  if (own) wait.timeout_ms = *request.timeout_ms;
  Status status = LockTable::Lock(request.tag, request.mode, request.scope, wait);
  if (status.ok()) return true;
  if (own && status.error().code == ErrorCode::kLockTimeout) return false;
  return std::move(status).error();
}

// A lock that was held already, as strong, goes on under its token.
Result<uint64_t> TokenOfGrant(const LockRequest& request, TxLockMode before) {
  const uint64_t known = LockTable::Token(request.tag);
  if (known != 0 && LockTable::Held(request.tag) == before) return known;
  // After the grant, or an earlier holder could have the larger one.
  return NextFencingToken();
}

Status TakeLock(Session& session, Args args, MayWait may_wait) {
  ASSIGN_OR_RETURN(LockRequest request, ParseRequest(session, args, may_wait));
  if (may_wait == MayWait::kNo) request.timeout_ms = 0;
  for (;;) {
    const TxLockMode before = LockTable::Held(request.tag);
    ASSIGN_OR_RETURN(const bool granted, Await(session, request));
    if (!granted) {
      session.reply().Null();
      return {};
    }
    FAULT_POINT(kLockGranted);
    Result<uint64_t> token = TokenOfGrant(request, before);
    if (!token.ok()) {
      if (request.scope == LockScope::kSession) LockTable::Unlock(request.tag);
      return std::move(token).error();
    }
    std::optional<int64_t> lapse_us;
    if (request.ttl_ms > 0) lapse_us = WallClockUs() + request.ttl_ms * 1000;
    // One's own that had lapsed may have been taken away meanwhile.
    if (!LockTable::Renew(request.tag, *token, lapse_us)) continue;
    session.reply().Integer(static_cast<int64_t>(*token));
    return {};
  }
}

// -- LOCKS

// An owner's process and its client; 0 if it is gone meanwhile.
struct Holder {
  int64_t pid = 0;
  uint64_t client_id = 0;
};

Holder HolderOf(Owner owner) {
  const Proc& proc = Segment::Procs()[owner.slot];
  const Holder holder{.pid = proc.pid.load(), .client_id = proc.client.client_id.load()};
  return proc.generation.load() == owner.generation ? holder : Holder{};
}

void ReplyField(Reply& reply, std::string_view name, std::string_view value) {
  reply.Bulk(name);
  reply.Bulk(value);
}

void ReplyField(Reply& reply, std::string_view name, int64_t value) {
  reply.Bulk(name);
  reply.Integer(value);
}

void ReplyLock(Reply& reply, const LockTable::Info& info, bool granted, int64_t now_us) {
  const Holder holder = HolderOf(info.owner);
  reply.Map(11);
  ReplyField(reply, "kind", LockKindName(info.tag.kind));
  ReplyField(reply, "database", info.tag.database);
  ReplyField(reply, "name", info.name);
  ReplyField(reply, "mode", TxLockModeName(granted ? info.granted : info.wanted));
  ReplyField(reply, "granted", granted ? 1 : 0);
  ReplyField(reply, "pid", holder.pid);
  ReplyField(reply, "slot", info.owner.slot);
  ReplyField(reply, "client", static_cast<int64_t>(holder.client_id));
  ReplyField(reply, "wait_ms", granted ? 0 : std::max<int64_t>(now_us - info.since_us, 0) / 1000);
  ReplyField(reply, "token", granted ? static_cast<int64_t>(info.token) : 0);
  reply.Bulk("blocked_by");
  reply.Array(granted ? 0 : info.blockers.size());
  if (granted) return;
  for (const Owner blocker : info.blockers) reply.Integer(HolderOf(blocker).pid);
}

}  // namespace

Status LockCommand(Session& session, Args args) { return TakeLock(session, args, MayWait::kYes); }

Status TryLockCommand(Session& session, Args args) { return TakeLock(session, args, MayWait::kNo); }

Status UnlockCommand(Session& session, Args args) {
  session.reply().Integer(LockTable::Unlock(AdvisoryTag(args[1])) ? 1 : 0);
  return {};
}

Status LocksCommand(Session& session, Args) {
  const std::vector<LockTable::Info> locks = LockTable::Snapshot();
  const int64_t now_us = WallClockUs();
  const size_t mark = session.reply().Mark();
  size_t rows = 0;
  // Whoever holds a lock and waits for more of it makes two rows.
  for (const LockTable::Info& info : locks) {
    for (const bool granted : {true, false}) {
      if ((granted ? info.granted : info.wanted) == TxLockMode::kNone) continue;
      ReplyLock(session.reply(), info, granted, now_us);
      ++rows;
    }
  }
  session.reply().CloseArray(mark, rows);
  return {};
}

}  // namespace warren

#include "backend/batch.h"

#include "backend/keyspace.h"
#include "backend/session.h"
#include "backend/transaction.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// Makes a transaction the session's for as long as it lives.
class InForce {
 public:
  InForce(Session& session, Transaction* transaction) : session_(session) {
    session.set_transaction(transaction);
  }
  ~InForce() { session_.set_transaction(nullptr); }
  InForce(const InForce&) = delete;
  InForce& operator=(const InForce&) = delete;

 private:
  Session& session_;
};

// Whatever becomes of a batch, its locks go.
struct LockRelease {
  ~LockRelease() { LockTable::ReleaseAll(LockScope::kTransaction); }
};

// The caller gives them back, also those taken before an error.
Status TakeLocks(Session& session, const WantedLocks& wanted) {
  LockTable::BeginTransaction();
  RETURN_IF_ERROR(LockTable::LockAll(wanted, LockScope::kTransaction, session.lock_wait()));
  session.RenewTime();  // the locks may have taken long
  return {};
}

Status RunOnce(Session& session, const WantedLocks& wanted, uint64_t max_bytes,
               FunctionRef<Result<BatchEnd>()> body) {
  const LockRelease release;
  RETURN_IF_ERROR(TakeLocks(session, wanted));
  Transaction transaction({}, session.now_ms(), max_bytes);
  Result<BatchEnd> end = BatchEnd::kRollback;
  {
    const InForce guard(session, &transaction);
    end = body();
  }
  if (transaction.aborted()) return *transaction.abort_reason();
  if (!end.ok()) return std::move(end).error();
  if (*end == BatchEnd::kRollback) return {};
  return transaction.Commit();
}

Status CommitOnce(Session& session, const WantedLocks& wanted, std::span<const CommitOp> ops) {
  const LockRelease release;
  RETURN_IF_ERROR(TakeLocks(session, wanted));
  return CommitHoldingLocks(ops, session.now_ms());
}

}  // namespace

Status CommitAsBatch(Session& session, const WantedLocks& wanted, std::span<const CommitOp> ops) {
  for (;;) {
    Status status = CommitOnce(session, wanted, ops);
    Stats::Add(status.ok() ? StatId::kTransactionsCommitted : StatId::kTransactionsRolledBack);
    if (status.ok() || status.error().code != ErrorCode::kDeadlock) return status;
  }
}

Status RunAsBatch(Session& session, const WantedLocks& wanted, uint64_t max_bytes,
                  FunctionRef<Result<BatchEnd>()> body) {
  const size_t start = session.output().size();
  for (;;) {
    Status status = RunOnce(session, wanted, max_bytes, body);
    if (status.ok()) return status;
    session.output().resize(start);
    if (status.error().code != ErrorCode::kDeadlock) return status;
    session.reply().BeginCommand();
  }
}

void RunCommandAsBatch(Session& session, const CommandInfo& info, Args args) {
  WantedLocks wanted;
  CollectLocks(info, args, session.database(), &wanted);
  // The command's own arguments and values bound what it can need.
  const Status status = RunAsBatch(session, wanted, 0, [&]() -> Result<BatchEnd> {
    info.handler(session, args);
    return session.reply().failed() ? BatchEnd::kRollback : BatchEnd::kCommit;
  });
  if (!status.ok()) ReplyError(session, status.error());
}

}  // namespace warren

// A session and its transaction: begin, what is refused inside, ends, waits for locks.
#include <fmt/format.h>

#include <utility>

#include "backend/session.h"
#include "backend/transaction.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/settings.h"
#include "conf/units.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

namespace warren {

Session::~Session() { ReleaseLocks(); }

void Session::Begin(const TransactionOptions& options) {
  LockTable::BeginTransaction();
  interactive_ =
      std::make_unique<Transaction>(options, now_ms_, GetSettings().transaction_max_memory_bytes);
  transaction_ = interactive_.get();
}

Status Session::Commit() {
  transaction_ = nullptr;
  return std::exchange(interactive_, nullptr)->Commit();
}

void Session::Rollback() {
  transaction_ = nullptr;
  interactive_.reset();
}

void Session::AbortIdle() {
  log::Info("client {} at {}: idle in its transaction for too long, which is aborted", client_id_,
            client_->address.Get());
  interactive_->Abort(MakeError(ErrorCode::kGeneric,
                                "it did nothing for longer than idle_in_transaction_timeout, {}",
                                FormatDuration(GetSettings().idle_in_transaction_timeout_ms)),
                      Transaction::Locks::kRelease);
}

bool Session::HoldsTransactionLocks() const {
  return in_transaction() && !interactive_->locks_released();
}

void Session::ReleaseLocks() {
  Rollback();
  if (Segment::Exists()) LockTable::ReleaseAll(LockScope::kSession);
}

// -- What is refused inside.

bool Session::RefusedInside(const CommandInfo& info) {
  if (interactive_->aborted()) {
    if ((info.flags & kWhileAborted) != 0) return false;
    Reject(info, fmt::format("ABORTED {}", interactive_->AbortedError().message));
    return true;
  }
  if (!info.not_in_transaction.empty()) {
    Reject(info, fmt::format("ERR '{}' is not allowed inside a transaction: {}", info.name,
                             info.not_in_transaction));
    return true;
  }
  if (interactive_->options().read_only && (info.flags & kWrite) != 0) {
    Reject(info, fmt::format("ERR '{}' is not allowed inside a read-only transaction", info.name));
    return true;
  }
  return false;
}

// A command that failed has done nothing, also if it had got half-way.
void Session::RunStatement(const CommandInfo& info, Args args) {
  transaction_->BeginStatement();
  info.handler(*this, args);
  reply_.failed() ? transaction_->UndoStatement() : transaction_->EndStatement();
}

// -- Time and waits.

void Session::RenewTime() {
  if (interactive_ == nullptr) now_ms_ = WallClockMs();
}

int64_t Session::lock_timeout_ms() const {
  return lock_timeout_ms_.value_or(GetSettings().lock_timeout_ms);
}

int64_t Session::deadlock_timeout_ms() const {
  return deadlock_timeout_ms_.value_or(GetSettings().deadlock_timeout_ms);
}

LockWait Session::lock_wait() {
  return {.timeout_ms = lock_timeout_ms(),
          .deadlock_timeout_ms = deadlock_timeout_ms(),
          .client_fd = socket_fd_,
          .attend = attend_};
}

Status Session::Attend::operator()() const {
  session->AttendToWakeUp();
  if (session->before_lock_wait_) (*session->before_lock_wait_)();
  if (session->close_reason() == CloseReason::kNone) return {};
  return MakeError(ErrorCode::kShutdown, "the connection is being closed");
}

}  // namespace warren

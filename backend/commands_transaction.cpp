#include "backend/commands_transaction.h"

#include "backend/arguments.h"
#include "backend/transaction.h"
#include "base/ascii.h"

namespace warren {
namespace {

Error WithoutBegin(std::string_view command) {
  return MakeError(ErrorCode::kGeneric, "{} without BEGIN", AsciiUpper(command));
}

// The words of BEGIN's options: each may stand once, in any order.
Result<TransactionOptions> ParseBegin(Args args) {
  TransactionOptions options;
  bool access = false, isolation = false;
  size_t i = 1;
  const auto next_is = [&](std::string_view word) {
    if (i == args.size() || !EqualsIgnoreCase(args[i], word)) return false;
    ++i;
    return true;
  };
  while (i < args.size()) {
    if (!access && next_is("READ")) {
      access = true;
      options.read_only = next_is("ONLY");
      if (!options.read_only && !next_is("WRITE")) return SyntaxError();
    } else if (!isolation && next_is("ISOLATION")) {
      isolation = true;
      options.read_committed = next_is("READ");
      if (!next_is(options.read_committed ? "COMMITTED" : "SERIALIZABLE")) return SyntaxError();
    } else {
      return SyntaxError();
    }
  }
  return options;
}

// [SAVEPOINT] name, from args[at] on. A savepoint may be called "savepoint".
Result<std::string_view> SavepointName(Args args, size_t at) {
  const size_t left = args.size() - at;
  if (left == 1) return args[at];
  if (left == 2 && EqualsIgnoreCase(args[at], "SAVEPOINT")) return args[at + 1];
  return SyntaxError();
}

}  // namespace

Status BeginCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const TransactionOptions options, ParseBegin(args));
  session.Begin(options);
  session.reply().Ok();
  return {};
}

Status CommitCommand(Session& session, Args args) {
  if (!session.in_transaction()) return WithoutBegin(args[0]);
  RETURN_IF_ERROR(session.Commit());
  session.reply().Ok();
  return {};
}

Status RollbackCommand(Session& session, Args args) {
  if (!session.in_transaction()) return WithoutBegin(args[0]);
  if (args.size() == 1) {
    session.Rollback();
  } else {
    if (!EqualsIgnoreCase(args[1], "TO") || args.size() < 3) return SyntaxError();
    ASSIGN_OR_RETURN(const std::string_view name, SavepointName(args, 2));
    RETURN_IF_ERROR(session.transaction()->RollbackTo(name));
  }
  session.reply().Ok();
  return {};
}

Status SavepointCommand(Session& session, Args args) {
  if (!session.in_transaction()) return WithoutBegin(args[0]);
  RETURN_IF_ERROR(session.transaction()->SetSavepoint(args[1]));
  session.reply().Ok();
  return {};
}

Status ReleaseCommand(Session& session, Args args) {
  if (!session.in_transaction()) return WithoutBegin(args[0]);
  ASSIGN_OR_RETURN(const std::string_view name, SavepointName(args, 1));
  RETURN_IF_ERROR(session.transaction()->ReleaseSavepoint(name));
  session.reply().Ok();
  return {};
}

Status GetLockCommand(Session& session, Args args) {
  if (!session.in_transaction()) {
    return MakeError(ErrorCode::kGeneric, "GETLOCK without BEGIN: the lock would not be kept");
  }
  return LookUpForUpdate(session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t) {
    current.exists ? session.reply().Bulk(current.value) : session.reply().Null();
  });
}

}  // namespace warren

#include "backend/commands_scripting.h"

#include "backend/arguments.h"
#include "backend/session.h"
#include "base/ascii.h"

namespace warren {
namespace {

bool IsFlushMode(Args args) {
  return args.size() == 2 || (args.size() == 3 && (EqualsIgnoreCase(args[2], "sync") ||
                                                   EqualsIgnoreCase(args[2], "async")));
}

}  // namespace

Status FunctionFlushCommand(Session& session, Args args) {
  if (!IsFlushMode(args)) {
    return MakeError(ErrorCode::kGeneric, "FUNCTION FLUSH only supports SYNC|ASYNC option");
  }
  session.reply().Ok();
  return {};
}

Status FunctionListCommand(Session& session, Args args) {
  for (size_t i = 2; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "withcode")) continue;
    if (!EqualsIgnoreCase(args[i], "libraryname")) {
      return MakeError(ErrorCode::kGeneric, "Unknown argument {}", args[i]);
    }
    if (++i == args.size()) {
      return MakeError(ErrorCode::kGeneric, "library name argument was not given");
    }
  }
  session.reply().Array(0);
  return {};
}

Status ScriptExistsCommand(Session& session, Args args) {
  session.reply().Array(args.size() - 2);
  for (size_t i = 2; i < args.size(); ++i) session.reply().Integer(0);
  return {};
}

Status ScriptFlushCommand(Session& session, Args args) {
  if (!IsFlushMode(args)) {
    return MakeError(ErrorCode::kGeneric, "SCRIPT FLUSH only support SYNC|ASYNC option");
  }
  session.reply().Ok();
  return {};
}

}  // namespace warren

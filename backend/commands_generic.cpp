#include "backend/commands_generic.h"

#include <string>

#include "backend/arguments.h"
#include "base/ascii.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// A key taken out of its page, to be stored elsewhere.
struct KeyCopy {
  bool exists = false;
  std::string value;
  int64_t expire_at_ms = kNoExpiry;
};

Result<KeyCopy> CopyOf(Session& session, std::string_view key) {
  KeyCopy copy;
  RETURN_IF_ERROR(Peek(session, session.database(), key, NeedValue::kYes,
                       [&](const Current& current, uint64_t) {
                         copy = {.exists = current.exists,
                                 .value = std::string(current.value),
                                 .expire_at_ms = current.expire_at_ms};
                       }));
  return copy;
}

enum class IfThere : uint8_t { kReplace, kKeep };

// Stores the copy; false if a key was there that shall be kept.
Result<bool> PutCopy(Session& session, uint32_t database, std::string_view key, const KeyCopy& copy,
                     IfThere if_there) {
  bool put = false;
  RETURN_IF_ERROR(Modify(
      session, database, key, NeedValue::kNo, [&](const Current& current, uint64_t) -> Change {
        put = !current.exists || if_there == IfThere::kReplace;
        if (!put) return {};
        return {.kind = Change::kPut, .value = copy.value, .expire_at_ms = copy.expire_at_ms};
      }));
  return put;
}

// Was there no key of the new name, or was it replaced?
Result<bool> Rename(Session& session, Args args, IfThere if_there) {
  const std::string_view from = args[1], to = args[2];
  ASSIGN_OR_RETURN(const KeyCopy copy, CopyOf(session, from));
  if (!copy.exists) return NoSuchKey();
  if (from == to) return if_there == IfThere::kReplace;
  ASSIGN_OR_RETURN(const bool put, PutCopy(session, session.database(), to, copy, if_there));
  if (put) RETURN_IF_ERROR(Erase(session, session.database(), from));
  return put;
}

struct CopyOptions {
  uint32_t database;
  IfThere if_there = IfThere::kKeep;
};

Result<CopyOptions> ParseCopyOptions(uint32_t database, Args args) {
  CopyOptions options{.database = database};
  for (size_t i = 3; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "REPLACE")) {
      options.if_there = IfThere::kReplace;
    } else if (EqualsIgnoreCase(args[i], "DB") && i + 1 < args.size()) {
      ASSIGN_OR_RETURN(options.database, DatabaseArgument(args[++i]));
    } else {
      return SyntaxError();
    }
  }
  return options;
}

Error SameObject() {
  return MakeError(ErrorCode::kGeneric, "source and destination objects are the same");
}

// The pages are given back before the reply in any case, so both words mean the same.
Status CheckFlushOptions(Args args) {
  if (args.size() == 1) return {};
  const bool known = EqualsIgnoreCase(args[1], "SYNC") || EqualsIgnoreCase(args[1], "ASYNC");
  if (args.size() > 2 || !known) return SyntaxError();
  return {};
}

// Answers null and returns false if there is no key.
Result<bool> FindOrNull(Session& session, std::string_view key) {
  ASSIGN_OR_RETURN(const bool found, LookUp(session, key));
  if (!found) session.reply().Null();
  return found;
}

std::string_view EncodingOf(std::string_view value) {
  constexpr size_t kMaxEmbeddedBytes = 44;
  if (ParseInteger(value)) return "int";
  return value.size() <= kMaxEmbeddedBytes ? "embstr" : "raw";
}

}  // namespace

// Arguments that the command will refuse want no locks.

void WantForCopy(Args args, uint32_t database, WantedLocks* wanted) {
  const auto options = ParseCopyOptions(database, args);
  if (!options.ok()) return;
  WantKey(database, args[1], TxLockMode::kS, wanted);
  WantKey(options->database, args[2], TxLockMode::kX, wanted);
}

void WantForMove(Args args, uint32_t database, WantedLocks* wanted) {
  const auto to = DatabaseArgument(args[2]);
  if (!to.ok()) return;
  WantKey(database, args[1], TxLockMode::kX, wanted);
  WantKey(*to, args[1], TxLockMode::kX, wanted);
}

void WantForFlushDb(Args args, uint32_t database, WantedLocks* wanted) {
  if (CheckFlushOptions(args).ok()) WantDatabase(database, TxLockMode::kX, wanted);
}

void WantForFlushAll(Args args, uint32_t, WantedLocks* wanted) {
  if (!CheckFlushOptions(args).ok()) return;
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    WantDatabase(database, TxLockMode::kX, wanted);
  }
}

Status DelCommand(Session& session, Args args) {
  int64_t count = 0;
  for (std::string_view key : args.subspan(1)) {
    ASSIGN_OR_RETURN(const bool found, Erase(session, session.database(), key));
    count += found ? 1 : 0;
  }
  session.reply().Integer(count);
  return {};
}

Status ExistsCommand(Session& session, Args args) {
  int64_t count = 0;
  RETURN_IF_ERROR(LookUpTogether(session, args.subspan(1), NeedValue::kNo,
                                 [&](size_t index, const Current& current) {
                                   if (index == 0) count = 0;
                                   count += current.exists ? 1 : 0;
                                 }));
  session.reply().Integer(count);
  return {};
}

Status TypeCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const bool found, LookUp(session, args[1]));
  session.reply().Simple(found ? "string" : "none");
  return {};
}

Status RenameCommand(Session& session, Args args) {
  RETURN_IF_ERROR(Rename(session, args, IfThere::kReplace));
  session.reply().Ok();
  return {};
}

Status RenameNxCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const bool renamed, Rename(session, args, IfThere::kKeep));
  session.reply().Integer(renamed ? 1 : 0);
  return {};
}

Status CopyCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const CopyOptions options, ParseCopyOptions(session.database(), args));
  const auto [database, if_there] = options;
  if (database == session.database() && args[1] == args[2]) return SameObject();
  ASSIGN_OR_RETURN(const KeyCopy copy, CopyOf(session, args[1]));
  CountLookUp(copy.exists);
  bool copied = false;
  if (copy.exists) {
    ASSIGN_OR_RETURN(copied, PutCopy(session, database, args[2], copy, if_there));
  }
  session.reply().Integer(copied ? 1 : 0);
  return {};
}

Status MoveCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const uint32_t database, DatabaseArgument(args[2]));
  if (database == session.database()) return SameObject();
  ASSIGN_OR_RETURN(const KeyCopy copy, CopyOf(session, args[1]));
  bool moved = false;
  if (copy.exists) {
    ASSIGN_OR_RETURN(moved, PutCopy(session, database, args[1], copy, IfThere::kKeep));
    if (moved) RETURN_IF_ERROR(Erase(session, session.database(), args[1]));
  }
  session.reply().Integer(moved ? 1 : 0);
  return {};
}

Status DbSizeCommand(Session& session, Args) {
  return Undivided(session, [&]() -> Status {
    ASSIGN_OR_RETURN(const uint64_t count, CountKeys(session));
    session.reply().Integer(static_cast<int64_t>(count));
    return {};
  });
}

Status FlushDbCommand(Session& session, Args args) {
  RETURN_IF_ERROR(CheckFlushOptions(args));
  RETURN_IF_ERROR(EmptyDatabase(session, session.database()));
  session.reply().Ok();
  return {};
}

Status FlushAllCommand(Session& session, Args args) {
  RETURN_IF_ERROR(CheckFlushOptions(args));
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    RETURN_IF_ERROR(EmptyDatabase(session, database));
  }
  session.reply().Ok();
  return {};
}

Status RandomKeyCommand(Session& session, Args) {
  return Undivided(session, [&]() -> Status {
    ASSIGN_OR_RETURN(const auto key, FindRandomKey(session));
    key ? session.reply().Bulk(*key) : session.reply().Null();
    return {};
  });
}

Status ObjectEncodingCommand(Session& session, Args args) {
  return LookUp(session, args[2], NeedValue::kYes, [&](const Current& current, uint64_t) {
    current.exists ? session.reply().Bulk(EncodingOf(current.value)) : session.reply().Null();
  });
}

Status ObjectRefCountCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const bool found, FindOrNull(session, args[2]));
  if (found) session.reply().Integer(1);
  return {};
}

Status ObjectIdleTimeCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const bool found, FindOrNull(session, args[2]));
  if (found) return MakeError(ErrorCode::kGeneric, "idle time is not tracked");
  return {};
}

Status ObjectFreqCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const bool found, FindOrNull(session, args[2]));
  if (found) return MakeError(ErrorCode::kGeneric, "access frequency is not tracked");
  return {};
}

Status ObjectHelpCommand(Session& session, Args) {
  static constexpr std::string_view kLines[] = {
      "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "ENCODING <key>",
      "    Return how Redis would keep the value: int, embstr or raw.",
      "FREQ <key>",
      "    Not tracked.",
      "IDLETIME <key>",
      "    Not tracked.",
      "REFCOUNT <key>",
      "    Return 1: values are never shared.",
      "HELP",
      "    Print this help.",
  };
  session.reply().Array(std::size(kLines));
  for (std::string_view line : kLines) session.reply().Simple(line);
  return {};
}

}  // namespace warren

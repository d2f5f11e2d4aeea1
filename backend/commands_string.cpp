// Commands on whole values. Parts of values: commands_substring.cpp; numbers: commands_counter.cpp.
#include "backend/commands_string.h"

#include "backend/arguments.h"
#include "backend/keyspace.h"
#include "backend/set_options.h"

namespace warren {
namespace {

void ReplyValue(Session& session, const Current& current) {
  if (current.exists) {
    session.reply().Bulk(current.value);
  } else {
    session.reply().Null();
  }
}

// Replies with the old value and lets `change_of` say what becomes of the key.
enum class MayCreate : uint8_t { kNo, kYes };
template <MayCreate may_create, typename ChangeOf>
Status ReplyAndModify(Session& session, std::string_view key, ChangeOf change_of) {
  const size_t start = session.output().size();
  bool found = false;
  const auto decide = [&](const Current& current, uint64_t) -> Change {
    session.output().resize(start);
    ReplyValue(session, current);
    found = current.exists;
    return change_of(current);
  };
  RETURN_IF_ERROR(may_create == MayCreate::kYes
                      ? Modify(session, key, NeedValue::kYes, decide)
                      : ModifyExisting(session, key, NeedValue::kYes, decide));
  CountLookUp(found);
  return {};
}

// SET in all its forms, once options and times are understood.
struct SetRequest {
  std::string_view key;
  std::string_view value;
  SetOptions options = {};
  int64_t expire_at_ms = kNoExpiry;

  bool Wanted(bool exists) const { return exists ? !options.if_missing : !options.if_exists; }

  Change ChangeOf(const Session& session, const Current& current) const {
    if (!Wanted(current.exists)) return {};
    if (options.keep_ttl) {
      return {.kind = Change::kPut, .value = value, .expire_at_ms = current.expire_at_ms};
    }
    return PutUnlessPast(session, current, value, expire_at_ms);
  }
};

// Stores; was the condition met?
Result<bool> PutIfWanted(Session& session, const SetRequest& request) {
  bool wanted = false;
  RETURN_IF_ERROR(
      Modify(session, request.key, NeedValue::kNo, [&](const Current& current, uint64_t) {
        wanted = request.Wanted(current.exists);
        return request.ChangeOf(session, current);
      }));
  return wanted;
}

Status SetWithTime(Session& session, Args args, TimeForm form) {
  SetRequest request{.key = args[1], .value = args[3]};
  ASSIGN_OR_RETURN(request.expire_at_ms, ExpiryArgument(form, args[2], session.now_ms(), args[0]));
  RETURN_IF_ERROR(PutIfWanted(session, request));
  session.reply().Ok();
  return {};
}

}  // namespace

Status GetCommand(Session& session, Args args) {
  return LookUp(session, args[1], NeedValue::kYes,
                [&](const Current& current, uint64_t) { ReplyValue(session, current); });
}

Status SetCommand(Session& session, Args args) {
  SetRequest request{.key = args[1], .value = args[2]};
  if (args.size() > 3) {
    ASSIGN_OR_RETURN(request.options, ParseSetOptions(args.subspan(3), SetOptionsOf::kSet));
    if (request.options.time_form != TimeForm::kNone) {
      ASSIGN_OR_RETURN(request.expire_at_ms,
                       ExpiryArgument(request.options.time_form, request.options.time,
                                      session.now_ms(), args[0]));
    }
    if (request.options.get) {
      return ReplyAndModify<MayCreate::kYes>(session, request.key, [&](const Current& current) {
        return request.ChangeOf(session, current);
      });
    }
  }
  ASSIGN_OR_RETURN(const bool stored, PutIfWanted(session, request));
  stored ? session.reply().Ok() : session.reply().Null();
  return {};
}

Status SetNxCommand(Session& session, Args args) {
  const SetRequest request{.key = args[1], .value = args[2], .options = {.if_missing = true}};
  ASSIGN_OR_RETURN(const bool stored, PutIfWanted(session, request));
  session.reply().Integer(stored ? 1 : 0);
  return {};
}

Status SetExCommand(Session& session, Args args) {
  return SetWithTime(session, args, TimeForm::kSecondsFromNow);
}

Status PSetExCommand(Session& session, Args args) {
  return SetWithTime(session, args, TimeForm::kMillisecondsFromNow);
}

Status GetSetCommand(Session& session, Args args) {
  return ReplyAndModify<MayCreate::kYes>(session, args[1], [&](const Current&) {
    return Change{.kind = Change::kPut, .value = args[2]};
  });
}

Status GetDelCommand(Session& session, Args args) {
  return ReplyAndModify<MayCreate::kNo>(session, args[1], [](const Current& current) {
    return Change{.kind = current.exists ? Change::kErase : Change::kKeep};
  });
}

Status GetExCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const SetOptions options,
                   ParseSetOptions(args.subspan(2), SetOptionsOf::kGetEx));
  const bool timed = options.time_form != TimeForm::kNone;
  if (!timed && !options.persist) return GetCommand(session, args);
  int64_t expire_at_ms = kNoExpiry;
  if (timed) {
    auto at = ExpiryArgument(options.time_form, options.time, session.now_ms(), args[0]);
    if (!at.ok()) {
      // A missing key is answered before a bad time is noticed.
      ASSIGN_OR_RETURN(const bool found, LookUp(session, args[1]));
      if (found) return at.error();
      session.reply().Null();
      return {};
    }
    expire_at_ms = *at;
  }
  return ReplyAndModify<MayCreate::kNo>(session, args[1], [&](const Current& current) -> Change {
    if (!current.exists) return {};
    if (timed && expire_at_ms <= session.now_ms()) return {.kind = Change::kErase};
    return {.kind = Change::kSetExpiry, .expire_at_ms = expire_at_ms};
  });
}

Status MGetCommand(Session& session, Args args) {
  session.reply().Array(args.size() - 1);
  return LookUpTogether(session, args.subspan(1), NeedValue::kYes,
                        [&](size_t, const Current& current) { ReplyValue(session, current); });
}

Status MSetCommand(Session& session, Args args) {
  if (args.size() % 2 == 0) return WrongArity(args[0]);
  RETURN_IF_ERROR(PutTogether(session, args.subspan(1)));
  session.reply().Ok();
  return {};
}

Status MSetNxCommand(Session& session, Args args) {
  if (args.size() % 2 == 0) return WrongArity(args[0]);
  if (args.size() == 3) return SetNxCommand(session, args);
  for (size_t i = 1; i < args.size(); i += 2) {
    ASSIGN_OR_RETURN(const bool found, Peek(session, session.database(), args[i]));
    if (found) {
      session.reply().Integer(0);
      return {};
    }
  }
  RETURN_IF_ERROR(PutTogether(session, args.subspan(1)));
  session.reply().Integer(1);
  return {};
}

}  // namespace warren

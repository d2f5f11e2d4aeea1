#include "backend/commands_expire.h"

#include "backend/arguments.h"
#include "base/ascii.h"

namespace warren {
namespace {

// NX, XX, GT, LT of EXPIRE. A key without expiry counts as one that expires never.
struct Conditions {
  bool if_none = false, if_some = false, if_later = false, if_earlier = false;

  bool Allow(int64_t present, int64_t wanted) const {
    if (present == kNoExpiry) return !if_some && !if_later;
    return !if_none && !(if_later && wanted <= present) && !(if_earlier && wanted >= present);
  }
};

Result<Conditions> ParseConditions(Args options) {
  Conditions conditions;
  for (std::string_view option : options) {
    bool* const flag = EqualsIgnoreCase(option, "NX")   ? &conditions.if_none
                       : EqualsIgnoreCase(option, "XX") ? &conditions.if_some
                       : EqualsIgnoreCase(option, "GT") ? &conditions.if_later
                       : EqualsIgnoreCase(option, "LT") ? &conditions.if_earlier
                                                        : nullptr;
    if (flag == nullptr) return MakeError(ErrorCode::kGeneric, "Unsupported option {}", option);
    *flag = true;
  }
  if (conditions.if_none && (conditions.if_some || conditions.if_later || conditions.if_earlier)) {
    return MakeError(ErrorCode::kGeneric,
                     "NX and XX, GT or LT options at the same time are not compatible");
  }
  if (conditions.if_later && conditions.if_earlier) {
    return MakeError(ErrorCode::kGeneric, "GT and LT options at the same time are not compatible");
  }
  return conditions;
}

Status Expire(Session& session, Args args, TimeForm form) {
  ASSIGN_OR_RETURN(const Conditions conditions, ParseConditions(args.subspan(3)));
  ASSIGN_OR_RETURN(const int64_t at_ms, AnyTimeArgument(form, args[2], session.now_ms(), args[0]));
  bool changed = false;
  RETURN_IF_ERROR(ModifyExisting(
      session, args[1], NeedValue::kNo, [&](const Current& current, uint64_t) -> Change {
        changed = current.exists && conditions.Allow(current.expire_at_ms, at_ms);
        if (!changed) return {};
        if (at_ms <= session.now_ms()) return {.kind = Change::kErase};
        return {.kind = Change::kSetExpiry, .expire_at_ms = at_ms};
      }));
  session.reply().Integer(changed ? 1 : 0);
  return {};
}

enum class Shown : uint8_t { kLeft, kAt };
enum class Unit : uint8_t { kSeconds, kMilliseconds };

Status ShowExpiry(Session& session, std::string_view key, Shown shown, Unit unit) {
  constexpr int64_t kNever = -1, kNoKey = -2;
  return LookUp(session, key, NeedValue::kNo, [&](const Current& current, uint64_t) {
    if (!current.exists) return session.reply().Integer(kNoKey);
    if (current.expire_at_ms == kNoExpiry) return session.reply().Integer(kNever);
    const int64_t since_ms = shown == Shown::kLeft ? session.now_ms() : 0;
    const int64_t ms = current.expire_at_ms - since_ms;
    // Rounded: a key just set to live 10 seconds has 10 left, not 9. The sum can't be formed first:
    // an expiry may be as late as INT64_MAX.
    const int64_t seconds = ms / 1000 + (ms % 1000 >= 500 ? 1 : 0);
    session.reply().Integer(unit == Unit::kMilliseconds ? ms : seconds);
  });
}

}  // namespace

Status ExpireCommand(Session& session, Args args) {
  return Expire(session, args, TimeForm::kSecondsFromNow);
}
Status PExpireCommand(Session& session, Args args) {
  return Expire(session, args, TimeForm::kMillisecondsFromNow);
}
Status ExpireAtCommand(Session& session, Args args) {
  return Expire(session, args, TimeForm::kSecondsAt);
}
Status PExpireAtCommand(Session& session, Args args) {
  return Expire(session, args, TimeForm::kMillisecondsAt);
}

Status TtlCommand(Session& session, Args args) {
  return ShowExpiry(session, args[1], Shown::kLeft, Unit::kSeconds);
}
Status PTtlCommand(Session& session, Args args) {
  return ShowExpiry(session, args[1], Shown::kLeft, Unit::kMilliseconds);
}
Status ExpireTimeCommand(Session& session, Args args) {
  return ShowExpiry(session, args[1], Shown::kAt, Unit::kSeconds);
}
Status PExpireTimeCommand(Session& session, Args args) {
  return ShowExpiry(session, args[1], Shown::kAt, Unit::kMilliseconds);
}

Status PersistCommand(Session& session, Args args) {
  bool changed = false;
  RETURN_IF_ERROR(ModifyExisting(session, args[1], NeedValue::kNo,
                                 [&](const Current& current, uint64_t) -> Change {
                                   changed = current.exists && current.expire_at_ms != kNoExpiry;
                                   if (!changed) return {};
                                   return {.kind = Change::kSetExpiry, .expire_at_ms = kNoExpiry};
                                 }));
  session.reply().Integer(changed ? 1 : 0);
  return {};
}

}  // namespace warren

#include "backend/commands_version.h"

#include "backend/arguments.h"
#include "backend/set_options.h"

namespace warren {
namespace {

// What a key has that does not exist.
constexpr uint64_t kNoVersion = 0;

Result<uint64_t> VersionArgument(std::string_view text) {
  const auto version = ParseInteger(text);
  if (version && *version >= 0) return static_cast<uint64_t>(*version);
  return MakeError(ErrorCode::kGeneric, "version is not an integer or out of range");
}

// A value that the transaction under way has put there itself exists and has no version: nothing
// fits it.
bool HasVersion(const Current& current, uint64_t version) {
  return current.exists ? current.version == version && version != kNoVersion
                        : version == kNoVersion;
}

}  // namespace

Status GetVCommand(Session& session, Args args) {
  return LookUp(session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t) {
    Reply& reply = session.reply();
    if (!current.exists) return reply.NullArray();
    reply.Array(2);
    reply.Bulk(current.value);
    current.version == kNoVersion ? reply.Null()
                                  : reply.Integer(static_cast<int64_t>(current.version));
  });
}

Status SetVCommand(Session& session, Args args) {
  const std::string_view key = args[1], value = args[3];
  ASSIGN_OR_RETURN(const uint64_t version, VersionArgument(args[2]));
  ASSIGN_OR_RETURN(const SetOptions options, ParseSetOptions(args.subspan(4), SetOptionsOf::kSetV));
  int64_t expire_at_ms = kNoExpiry;
  if (options.time_form != TimeForm::kNone) {
    ASSIGN_OR_RETURN(expire_at_ms,
                     ExpiryArgument(options.time_form, options.time, session.now_ms(), args[0]));
  }
  bool same = false;
  const auto decide = [&](const Current& current, uint64_t) -> Change {
    same = HasVersion(current, version);
    if (!same) return {};
    const int64_t until_ms = options.keep_ttl ? current.expire_at_ms : expire_at_ms;
    return PutUnlessPast(session, current, value, until_ms);
  };
  RETURN_IF_ERROR(Modify(session, key, NeedValue::kNo, decide));
  session.reply().Integer(same ? 1 : 0);
  return {};
}

}  // namespace warren

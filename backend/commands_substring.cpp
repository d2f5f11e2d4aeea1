// Commands on parts of values.
#include <algorithm>
#include <string>

#include "backend/arguments.h"
#include "backend/commands_string.h"
#include "backend/keyspace.h"
#include "conf/settings.h"

namespace warren {
namespace {

// Room for a value that is stored inline, so that a callback under a page lock need not allocate.
constexpr size_t kInlineRoomBytes = kPageBytes / 4;

bool FitsIntoValue(uint64_t bytes) { return bytes <= GetSettings().max_value_size_bytes; }

Error ValueTooLong() {
  return MakeError(ErrorCode::kGeneric, "string exceeds maximum allowed size (proto-max-bulk-len)");
}

// The bytes from `first` to `last`, both counted from the end when negative, as far as there are
// any.
std::string_view Part(std::string_view value, int64_t first, int64_t last) {
  const auto size = static_cast<int64_t>(value.size());
  if (first < 0 && last < 0 && first > last) return {};
  if (first < 0) first = std::max<int64_t>(first + size, 0);
  if (last < 0) last = std::max<int64_t>(last + size, 0);
  last = std::min(last, size - 1);
  if (first > last) return {};
  return value.substr(static_cast<size_t>(first), static_cast<size_t>(last - first + 1));
}

}  // namespace

Status AppendCommand(Session& session, Args args) {
  const std::string_view tail = args[2];
  std::string value;
  value.reserve(kInlineRoomBytes + tail.size());
  bool too_long = false;
  RETURN_IF_ERROR(Modify(
      session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t bytes) -> Change {
        too_long = current.exists && !FitsIntoValue(bytes + tail.size());
        if (too_long) return {};
        value.assign(current.value).append(tail);
        return {.kind = Change::kPut, .value = value, .expire_at_ms = current.expire_at_ms};
      }));
  if (too_long) return ValueTooLong();
  session.reply().Integer(static_cast<int64_t>(value.size()));
  return {};
}

Status StrLenCommand(Session& session, Args args) {
  return LookUp(session, args[1], NeedValue::kNo, [&](const Current&, uint64_t value_bytes) {
    session.reply().Integer(static_cast<int64_t>(value_bytes));
  });
}

Status GetRangeCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const int64_t first, IntegerArgument(args[2]));
  ASSIGN_OR_RETURN(const int64_t last, IntegerArgument(args[3]));
  return LookUp(session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t) {
    session.reply().Bulk(Part(current.value, first, last));
  });
}

Status SetRangeCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const int64_t offset, IntegerArgument(args[2]));
  if (offset < 0) return MakeError(ErrorCode::kGeneric, "offset is out of range");
  const std::string_view part = args[3];
  if (part.empty()) {
    return Peek(session, session.database(), args[1], NeedValue::kNo,
                [&](const Current&, uint64_t value_bytes) {
                  session.reply().Integer(static_cast<int64_t>(value_bytes));
                });
  }
  const auto start = static_cast<uint64_t>(offset);
  if (!FitsIntoValue(start + part.size())) return ValueTooLong();
  std::string value;
  value.reserve(kInlineRoomBytes + start + part.size());
  RETURN_IF_ERROR(
      Modify(session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t) -> Change {
        value.assign(current.value);
        if (value.size() < start + part.size()) value.resize(start + part.size());
        value.replace(start, part.size(), part);
        return {.kind = Change::kPut, .value = value, .expire_at_ms = current.expire_at_ms};
      }));
  session.reply().Integer(static_cast<int64_t>(value.size()));
  return {};
}

}  // namespace warren

// Commands that take a value for a number.
#include <cmath>

#include "backend/arguments.h"
#include "backend/commands_string.h"
#include "backend/keyspace.h"

namespace warren {
namespace {

// What went wrong inside a callback, to be made an Error outside of it.
enum class Problem : uint8_t { kNone, kNotANumber, kOverflow };

Status Increment(Session& session, std::string_view key, int64_t by) {
  char digits[kIntegerTextBytes];
  int64_t value = 0;
  Problem problem = Problem::kNone;
  RETURN_IF_ERROR(
      Modify(session, key, NeedValue::kYes, [&](const Current& current, uint64_t) -> Change {
        const auto old = current.exists ? ParseInteger(current.value) : 0;
        problem = !old                                       ? Problem::kNotANumber
                  : __builtin_add_overflow(*old, by, &value) ? Problem::kOverflow
                                                             : Problem::kNone;
        if (problem != Problem::kNone) return {};
        return {.kind = Change::kPut,
                .value = FormatInteger(value, digits),
                .expire_at_ms = current.expire_at_ms};
      }));
  switch (problem) {
    case Problem::kNotANumber:
      return MakeError(ErrorCode::kGeneric, "value is not an integer or out of range");
    case Problem::kOverflow:
      return MakeError(ErrorCode::kGeneric, "increment or decrement would overflow");
    case Problem::kNone:
      break;
  }
  session.reply().Integer(value);
  return {};
}

}  // namespace

Status IncrCommand(Session& session, Args args) { return Increment(session, args[1], 1); }
Status DecrCommand(Session& session, Args args) { return Increment(session, args[1], -1); }

Status IncrByCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const int64_t by, IntegerArgument(args[2]));
  return Increment(session, args[1], by);
}

Status DecrByCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const int64_t by, IntegerArgument(args[2]));
  if (by == INT64_MIN) return MakeError(ErrorCode::kGeneric, "decrement would overflow");
  return Increment(session, args[1], -by);
}

Status IncrByFloatCommand(Session& session, Args args) {
  const auto by = ParseFloat(args[2]);
  char buffer[kFloatTextBytes];
  std::string_view digits;
  Problem problem = Problem::kNone;
  RETURN_IF_ERROR(
      Modify(session, args[1], NeedValue::kYes, [&](const Current& current, uint64_t) -> Change {
        const auto old = current.exists ? ParseFloat(current.value) : 0.0L;
        const long double sum = old && by ? *old + *by : 0.0L;
        problem = !old || !by           ? Problem::kNotANumber
                  : !std::isfinite(sum) ? Problem::kOverflow
                                        : Problem::kNone;
        if (problem != Problem::kNone) return {};
        digits = FormatFloat(sum, buffer);
        return {.kind = Change::kPut, .value = digits, .expire_at_ms = current.expire_at_ms};
      }));
  switch (problem) {
    case Problem::kNotANumber:
      return MakeError(ErrorCode::kGeneric, "value is not a valid float");
    case Problem::kOverflow:
      return MakeError(ErrorCode::kGeneric, "increment would produce NaN or Infinity");
    case Problem::kNone:
      break;
  }
  session.reply().Bulk(digits);
  return {};
}

}  // namespace warren

#include "backend/commands_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <system_error>

#include "backend/arguments.h"
#include "base/ascii.h"
#include "base/glob.h"

namespace warren {
namespace {

// Every key that matches the pattern begins with these bytes.
std::string_view LiteralPrefix(std::string_view pattern) {
  return pattern.substr(0, pattern.find_first_of("*?[\\"));
}

// -- RANGE

// One end of a range.
struct Bound {
  enum Kind : uint8_t { kBeforeAll, kKey, kAfterAll } kind = kKey;
  std::string_view key = {};
  bool inclusive = true;
};

Bound ParseBound(std::string_view text) {
  if (text == "-") return {.kind = Bound::kBeforeAll};
  if (text == "+") return {.kind = Bound::kAfterAll};
  if (text.starts_with('(')) return {.key = text.substr(1), .inclusive = false};
  if (text.starts_with('[')) return {.key = text.substr(1)};
  return {.key = text};
}

bool IsBefore(std::string_view key, const Bound& start) {
  if (start.kind != Bound::kKey) return start.kind == Bound::kAfterAll;
  return start.inclusive ? key < start.key : key <= start.key;
}

bool IsBehind(std::string_view key, const Bound& end) {
  if (end.kind != Bound::kKey) return end.kind == Bound::kBeforeAll;
  return end.inclusive ? key > end.key : key >= end.key;
}

struct RangeRequest {
  Bound start, end;
  uint64_t limit = std::numeric_limits<uint64_t>::max();
  bool reverse = false;
  bool keys = false;
  bool with_values = false;

  // A reverse walk that shall begin at the empty key would begin at the last one instead, because
  // the store takes an empty `from` for "no bound"; but there is only one key to be found then.
  bool WalksBackwards() const { return reverse && !(end.kind == Bound::kKey && end.key.empty()); }
};

Result<RangeRequest> ParseRange(Args args) {
  RangeRequest request{.start = ParseBound(args[1]), .end = ParseBound(args[2])};
  for (size_t i = 3; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "LIMIT") && i + 1 < args.size()) {
      ASSIGN_OR_RETURN(const int64_t limit, IntegerArgument(args[++i]));
      if (limit < 0) {
        return MakeError(ErrorCode::kGeneric, "value is out of range, must be positive");
      }
      request.limit = static_cast<uint64_t>(limit);
    } else if (EqualsIgnoreCase(args[i], "REVERSE")) {
      request.reverse = true;
    } else if (EqualsIgnoreCase(args[i], "KEYS") && !request.with_values) {
      request.keys = true;
    } else if (EqualsIgnoreCase(args[i], "WITHVALUES") && !request.keys) {
      request.with_values = true;
    } else {
      return SyntaxError();
    }
  }
  return request;
}

// RESP3 shows pairs as such, RESP2 has key and value in turn.
void ReplyRangeElement(Reply& reply, std::string_view key, const Current* value) {
  if (value != nullptr && reply.resp3()) reply.Array(2);
  reply.Bulk(key);
  if (value != nullptr) reply.Bulk(value->value);
}

Status ReplyRange(Session& session, const RangeRequest& request) {
  const bool backwards = request.WalksBackwards();
  const Bound& first = backwards ? request.end : request.start;
  Reply& reply = session.reply();
  const size_t mark = reply.Mark();
  uint64_t count = 0;
  const auto visit = [&](std::string_view key, const Current& current) {
    const bool too_low = IsBefore(key, request.start), too_high = IsBehind(key, request.end);
    if (backwards ? too_low : too_high) return false;
    if (too_low || too_high) return true;
    ReplyRangeElement(reply, key, request.with_values ? &current : nullptr);
    return ++count < request.limit && !reply.overflowed();
  };
  const bool nothing = request.limit == 0 || request.start.kind == Bound::kAfterAll ||
                       request.end.kind == Bound::kBeforeAll;
  if (!nothing) {
    RETURN_IF_ERROR(ScanKeys(
        session, {.from = first.key, .from_inclusive = first.inclusive, .reverse = backwards},
        request.with_values ? NeedValue::kYes : NeedValue::kNo, visit));
  }
  const bool flat = request.with_values && !reply.resp3();
  reply.CloseArray(mark, flat ? 2 * count : count);
  return {};
}

// -- SCAN

struct ScanRequest {
  uint64_t cursor = 0;
  uint64_t count = 10;
  std::string_view pattern = "*";
  bool strings = true;  // does TYPE want the only type there is?
};

Result<uint64_t> ParseCursor(std::string_view text) {
  uint64_t cursor = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, cursor);
  if (error != std::errc() || stop != end) return MakeError(ErrorCode::kGeneric, "invalid cursor");
  return cursor;
}

Result<ScanRequest> ParseScan(Args args) {
  ScanRequest request;
  ASSIGN_OR_RETURN(request.cursor, ParseCursor(args[1]));
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return SyntaxError();
    const std::string_view option = args[i], value = args[i + 1];
    if (EqualsIgnoreCase(option, "COUNT")) {
      ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(value));
      if (count < 1) return SyntaxError();
      request.count = static_cast<uint64_t>(count);
    } else if (EqualsIgnoreCase(option, "MATCH")) {
      request.pattern = value;
    } else if (EqualsIgnoreCase(option, "TYPE")) {
      request.strings = EqualsIgnoreCase(value, "string");
    } else {
      return SyntaxError();
    }
  }
  return request;
}

// A large COUNT is served in steps, so that one reply stays of bounded size: the cursor makes it
// possible to stop early.
constexpr uint64_t kMaxScanStep = 1000;
constexpr size_t kEnoughScanBytes = 1 << 20;

Status ReplyScan(Session& session, const ScanRequest& request) {
  std::string body;
  Reply keys(&body);
  size_t matches = 0;
  uint64_t cursor = request.cursor, seen = 0;
  const auto visit = [&](std::string_view key) {
    ++seen;
    if (!request.strings || !GlobMatch(request.pattern, key)) return;
    keys.Bulk(key);
    ++matches;
  };
  do {
    const uint64_t before = seen;
    const auto step = static_cast<uint32_t>(std::min(request.count - seen, kMaxScanStep));
    ASSIGN_OR_RETURN(cursor, ScanKeysStep(session, cursor, step, visit));
    // Steps that meet only expired keys must come to an end, too.
    seen = std::max(seen, before + 1);
  } while (cursor != 0 && seen < request.count && body.size() < kEnoughScanBytes);
  Reply& reply = session.reply();
  reply.Array(2);
  reply.Bulk(fmt::format("{}", cursor));
  reply.Array(matches);
  reply.out() += body;
  return {};
}

}  // namespace

Status KeysCommand(Session& session, Args args) {
  const std::string_view pattern = args[1], prefix = LiteralPrefix(pattern);
  Reply& reply = session.reply();
  return Undivided(session, [&]() -> Status {
    const size_t mark = reply.Mark();
    size_t count = 0;
    RETURN_IF_ERROR(ScanKeys(session, {.from = prefix}, NeedValue::kNo,
                             [&](std::string_view key, const Current&) {
                               if (!key.starts_with(prefix) || reply.overflowed()) return false;
                               if (GlobMatch(pattern, key)) {
                                 reply.Bulk(key);
                                 ++count;
                               }
                               return true;
                             }));
    reply.CloseArray(mark, count);
    return {};
  });
}

Status RangeCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const RangeRequest request, ParseRange(args));
  return Undivided(session, [&] { return ReplyRange(session, request); });
}

Status ScanCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const ScanRequest request, ParseScan(args));
  return Undivided(session, [&] { return ReplyScan(session, request); });
}

}  // namespace warren

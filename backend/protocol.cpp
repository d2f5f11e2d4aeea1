#include "backend/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

#include "conf/tokenizer.h"

namespace warren {
namespace {

// What an idle connection keeps.
constexpr size_t kInitialBytes = 16 * 1024;
// With less room than this a received piece would be too small to be worth a system call.
constexpr size_t kLeastRoomBytes = 4 * 1024;
// An argument longer than this gets its place made in advance.
constexpr size_t kLongBulkBytes = 32 * 1024;
// The longest length of four digits.
constexpr uint64_t kMostShortBytes = 9999;
static_assert(kMostShortBytes <= kMaxUnauthenticatedBulkBytes);
// Vectors that grew beyond this many arguments are given back.
constexpr size_t kKeptArguments = 1024;

// As Redis reads lengths: no plus, no leading zeros, no blanks.
std::optional<int64_t> ParseLength(std::string_view digits) {
  const size_t first = digits.starts_with('-') ? 1 : 0;
  if (digits.size() == first || (digits[first] == '0' && digits.size() > 1)) return std::nullopt;
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

char* Allocate(char* former, size_t bytes) {
  void* memory = realloc(former, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

// Of a line that is a byte and a length of up to four digits: the length, and what is behind the
// line. Null for all others, and where fewer bytes are there than the longest such line has.
const char* BehindShortLength(const char* line, const char* end, size_t* length) {
  constexpr ptrdiff_t kLongestLine = sizeof("$9999\r\n") - 1;
  if (end - line < kLongestLine) return nullptr;
  const char* digit = line + 1;
  size_t value = 0;
  for (; digit < line + 5 && *digit >= '0' && *digit <= '9'; ++digit) {
    value = value * 10 + static_cast<size_t>(*digit - '0');
  }
  if (digit == line + 1 || *digit != '\r' || (line[1] == '0' && digit > line + 2)) return nullptr;
  *length = value;
  return digit + 2;
}

// Where the argument is whose line begins here, if its length is short and it is wholly there; else
// null.
const char* WholeShortArgument(const char* line, const char* end, size_t* bytes) {
  const char* const argument = BehindShortLength(line, end, bytes);
  const bool whole =
      argument != nullptr && *line == '$' && static_cast<size_t>(end - argument) >= *bytes + 2;
  return whole ? argument : nullptr;
}

}  // namespace

RequestParser::RequestParser()
    : buffer_(Allocate(nullptr, kInitialBytes)), capacity_(kInitialBytes) {}
RequestParser::~RequestParser() { free(buffer_); }

void RequestParser::ResetRequest() {
  begin_ = line_ = scan_;
  arguments_missing_ = bulk_bytes_ = kUnknown;
  handed_out_ = false;
  places_.clear();
}

// Afterwards `bytes` bytes fit behind begin_. Only the request under way is moved, and enlarging
// grows by factors, so that many long arguments do not make it quadratic.
void RequestParser::MakeRoom(size_t bytes) {
  if (capacity_ - begin_ >= bytes) return;
  if (begin_ > 0) {
    memmove(buffer_, buffer_ + begin_, end_ - begin_);
    scan_ -= begin_;
    line_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (capacity_ >= bytes) return;
  const size_t enlarged = std::max(bytes, capacity_ + capacity_ / 2);
  buffer_ = Allocate(buffer_, enlarged);
  capacity_ = enlarged;
}

std::span<char> RequestParser::WritableSpace() {
  if (handed_out_) ResetRequest();
  if (begin_ == end_) begin_ = scan_ = line_ = end_ = 0;
  size_t wanted = end_ - begin_ + kLeastRoomBytes;
  // A long argument's place is filled to its end and no further: what follows would be moved.
  const bool long_bulk = bulk_bytes_ > static_cast<int64_t>(kLongBulkBytes);
  const size_t bulk_end =
      scan_ - begin_ + static_cast<size_t>(std::max<int64_t>(bulk_bytes_, 0)) + 2;
  if (long_bulk) wanted = std::max(end_ - begin_ + 1, bulk_end);
  MakeRoom(wanted);
  const size_t room = long_bulk ? begin_ + bulk_end - end_ : capacity_ - end_;
  return {buffer_ + end_, room};
}

void RequestParser::Shrink() {
  if (handed_out_) ResetRequest();
  if (places_.capacity() > kKeptArguments) {
    places_.shrink_to_fit();
    args_ = {};
  }
  inline_words_ = {};
  const size_t wanted = std::max(kInitialBytes, PendingBytes() + kLeastRoomBytes);
  if (capacity_ <= wanted) return;
  memmove(buffer_, buffer_ + begin_, end_ - begin_);
  scan_ -= begin_;
  line_ -= begin_;
  end_ -= begin_;
  begin_ = 0;
  buffer_ = Allocate(buffer_, wanted);
  capacity_ = wanted;
}

RequestParser::Outcome RequestParser::Fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return Outcome::kError;
}

RequestParser::Outcome RequestParser::Next(const RequestLimits& limits) {
  if (!error_.empty()) return Outcome::kError;
  if (handed_out_) ResetRequest();
  while (begin_ < end_) {
    const bool multibulk = arguments_missing_ != kUnknown || buffer_[begin_] == '*';
    const size_t began = begin_;
    const Outcome outcome = multibulk ? NextMultibulk(limits) : NextInline();
    if (outcome == Outcome::kNeedMore && PendingBytes() > limits.query_bytes) {
      return Fail("client query buffer limit exceeded");
    }
    // kNeedMore behind an empty line or an empty array: there may be more requests.
    if (outcome != Outcome::kNeedMore || begin_ == began) return outcome;
  }
  return Outcome::kNeedMore;
}

RequestParser::Outcome RequestParser::Finish(size_t request_end) {
  scan_ = request_end;
  handed_out_ = true;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::NextInline() {
  const auto* newline = static_cast<const char*>(memchr(buffer_ + scan_, '\n', end_ - scan_));
  const size_t line_end = newline != nullptr ? static_cast<size_t>(newline - buffer_) : end_;
  if (line_end - begin_ > kMaxLineBytes) return Fail("too big inline request");
  scan_ = line_end;
  if (newline == nullptr) return Outcome::kNeedMore;

  std::string_view line(buffer_ + begin_, line_end - begin_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  auto words = SplitWords(line);
  if (!words.ok()) return Fail("unbalanced quotes in request");
  inline_words_ = std::move(*words);
  args_.assign(inline_words_.begin(), inline_words_.end());
  if (!args_.empty()) return Finish(line_end + 1);
  scan_ = line_end + 1;
  ResetRequest();
  return Outcome::kNeedMore;
}

// The line from line_ to the next CR LF, without them and its first byte; then scan_ and line_ are
// behind it. Else scan_ is where to look next time. Most are of a few digits and wholly there.
bool RequestParser::ReadLength(std::optional<int64_t>* length) {
  size_t value = 0;
  const char* const behind =
      scan_ == line_ ? BehindShortLength(buffer_ + scan_, buffer_ + end_, &value) : nullptr;
  if (behind != nullptr) {
    *length = static_cast<int64_t>(value);
    scan_ = static_cast<size_t>(behind - buffer_);
    return true;
  }
  const auto* cr = static_cast<const char*>(memchr(buffer_ + scan_, '\r', end_ - scan_));
  scan_ = cr != nullptr ? static_cast<size_t>(cr - buffer_) : end_;
  if (cr == nullptr || scan_ + 1 >= end_) return false;
  *length = ParseLength({buffer_ + line_ + 1, std::max(scan_, line_ + 1) - line_ - 1});
  scan_ += 2;
  return true;
}

RequestParser::Outcome RequestParser::ReadCount(const RequestLimits& limits) {
  std::optional<int64_t> count;
  if (!ReadLength(&count)) {
    if (scan_ - line_ > kMaxLineBytes) return Fail("too big mbulk count string");
    return Outcome::kNeedMore;
  }
  if (!count || *count > kMaxArguments) return Fail("invalid multibulk length");
  if (*count > kMaxUnauthenticatedArguments && !limits.authenticated) {
    return Fail("unauthenticated multibulk length");
  }
  line_ = scan_;
  arguments_missing_ = std::max<int64_t>(*count, 0);
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::ReadBulkLength(const RequestLimits& limits) {
  std::optional<int64_t> bytes;
  if (!ReadLength(&bytes)) {
    if (scan_ - line_ > kMaxLineBytes) return Fail("too big bulk count string");
    return Outcome::kNeedMore;
  }
  if (buffer_[line_] != '$') return Fail(fmt::format("expected '$', got '{}'", buffer_[line_]));
  if (!bytes || *bytes < 0 || static_cast<uint64_t>(*bytes) > limits.bulk_bytes) {
    return Fail("invalid bulk length");
  }
  if (*bytes > kMaxUnauthenticatedBulkBytes && !limits.authenticated) {
    return Fail("unauthenticated bulk length");
  }
  if (scan_ - begin_ + static_cast<uint64_t>(*bytes) > limits.query_bytes) {
    return Fail("client query buffer limit exceeded");
  }
  bulk_bytes_ = *bytes;
  return Outcome::kRequest;
}

// Is no short argument, nor a request that ends within what is there, against the limits?
bool RequestParser::AllowsShortArguments(const RequestLimits& limits) const {
  return limits.bulk_bytes > kMostShortBytes && end_ - begin_ <= limits.query_bytes;
}

// Takes arguments as long as they are short, within all limits and wholly there: most are. Nothing
// but that is decided here.
void RequestParser::TakeShortArguments(const RequestLimits& limits) {
  if (scan_ != line_ || !AllowsShortArguments(limits)) return;
  const char* const end = buffer_ + end_;
  const char* at = buffer_ + scan_;
  for (; arguments_missing_ > 0; --arguments_missing_) {
    size_t bytes = 0;
    const char* const argument = WholeShortArgument(at, end, &bytes);
    if (argument == nullptr) break;
    places_.push_back({static_cast<size_t>(argument - buffer_) - begin_, bytes});
    at = argument + bytes + 2;
  }
  line_ = scan_ = static_cast<size_t>(at - buffer_);
}

size_t RequestParser::Peek(const RequestLimits& limits, std::span<PeekedRequest> requests) const {
  if (!AllowsShortArguments(limits)) return 0;
  const char* const end = buffer_ + end_;
  const char* at = buffer_ + scan_;
  for (size_t found = 0; found < requests.size(); ++found) {
    PeekedRequest& request = requests[found];
    const char* line = BehindShortLength(at, end, &request.count);
    if (line == nullptr || *at != '*' || request.count == 0) return found;
    if (!limits.authenticated && !request.complete()) return found;
    for (size_t i = 0; i < request.count; ++i) {
      size_t bytes = 0;
      const char* const argument = WholeShortArgument(line, end, &bytes);
      if (argument == nullptr) return found;
      if (i < request.arguments.size()) request.arguments[i] = {argument, bytes};
      line = argument + bytes + 2;
    }
    at = request.end = line;
  }
  return requests.size();
}

void RequestParser::Take(const PeekedRequest& request) {
  scan_ = static_cast<size_t>(request.end - buffer_);
  ResetRequest();
  const Args args = request.args();
  args_.assign(args.begin(), args.end());
  Finish(scan_);
}

RequestParser::Outcome RequestParser::NextMultibulk(const RequestLimits& limits) {
  if (arguments_missing_ == kUnknown) {
    const Outcome outcome = ReadCount(limits);
    if (outcome != Outcome::kRequest) return outcome;
    if (arguments_missing_ == 0) {
      ResetRequest();
      return Outcome::kNeedMore;
    }
  }
  while (arguments_missing_ > 0) {
    if (bulk_bytes_ == kUnknown) {
      TakeShortArguments(limits);
      if (arguments_missing_ == 0) break;
      const Outcome outcome = ReadBulkLength(limits);
      if (outcome != Outcome::kRequest) return outcome;
    }
    const auto bytes = static_cast<size_t>(bulk_bytes_);
    if (end_ - scan_ < bytes + 2) return Outcome::kNeedMore;
    places_.push_back({scan_ - begin_, bytes});
    // What the two bytes behind an argument are is not looked at, as in Redis.
    scan_ += bytes + 2;
    line_ = scan_;
    bulk_bytes_ = kUnknown;
    --arguments_missing_;
  }
  args_.clear();
  args_.reserve(places_.size());
  for (const Place& place : places_)
    args_.emplace_back(buffer_ + begin_ + place.offset, place.bytes);
  return Finish(scan_);
}

}  // namespace warren

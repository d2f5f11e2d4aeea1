// Which requests are in the bytes that the client sent?
//
// An incremental parser over a receive buffer: RESP2 multibulk arrays and inline commands, in any
// mixture, cut at any byte. Arguments are views into the buffer; nothing is copied. Bytes are
// received straight behind what is there:
//
//   0        begin_        scan_           end_              capacity_
//   | done   | request under way           | WritableSpace() |
//             \ arguments found / not looked at yet
//
// No byte but those of a length is looked at twice, however it arrives. For a long argument the
// buffer is enlarged to hold it as soon as its length is known, so that it is received into its
// final place.
//
// Limits and error texts are Redis 7's. After an error the parser stays in error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/command.h"

namespace warren {

// Longest inline request, and longest line with a count or length.
inline constexpr size_t kMaxLineBytes = 64 * 1024;
// Most arguments of one request.
inline constexpr int64_t kMaxArguments = 1024 * 1024;
// Before AUTH.
inline constexpr int64_t kMaxUnauthenticatedArguments = 10;
inline constexpr int64_t kMaxUnauthenticatedBulkBytes = 16 * 1024;

struct RequestLimits {
  uint64_t bulk_bytes = 64ull << 20;  // longest argument
  uint64_t query_bytes = 1ull << 30;  // longest request, and most input waiting
  bool authenticated = true;
};

// A request behind the one handed out.
struct PeekedRequest {
  static constexpr size_t kMostArguments = 3;

  std::array<std::string_view, kMostArguments> arguments;  // the first ones
  size_t count = 0;                                        // of all, at least one
  const char* end = nullptr;

  bool complete() const { return count <= kMostArguments; }
  Args args() const { return std::span(arguments).first(count); }  // of a complete one
};

class RequestParser {
 public:
  enum class Outcome : uint8_t { kRequest, kNeedMore, kError };

  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Where the next bytes go: never empty. Ends the life of all arguments. Throws std::bad_alloc.
  std::span<char> WritableSpace();
  void Received(size_t bytes) { end_ += bytes; }

  // The next request. Ends the life of the former one's arguments.
  Outcome Next(const RequestLimits& limits);
  Args args() const { return args_; }                  // after kRequest: at least one
  const std::string& error() const { return error_; }  // after kError: "Protocol error: ..."

  // After kRequest: the requests behind it, as many as fit into `requests`; only those that are
  // wholly there, of short arguments, and within the limits. How many. They live as long as what
  // Next has handed out last, or Take.
  size_t Peek(const RequestLimits& limits, std::span<PeekedRequest> requests) const;
  bool HasMore() const { return scan_ < end_; }  // after kRequest
  // Hands out a complete one, and so skips those before it: as the same calls of Next would, if the
  // limits have not changed.
  void Take(const PeekedRequest& request);

  // Bytes received but not handed out as requests yet.
  size_t PendingBytes() const { return end_ - begin_; }
  size_t Capacity() const { return capacity_; }

  // Gives memory back that the present input does not need. Ends the life of all arguments.
  void Shrink();

 private:
  static constexpr int64_t kUnknown = -1;
  struct Place {
    size_t offset;  // from begin_: the buffer may move
    size_t bytes;
  };

  Outcome Fail(std::string text);
  Outcome NextInline();
  Outcome NextMultibulk(const RequestLimits& limits);
  Outcome ReadCount(const RequestLimits& limits);
  Outcome ReadBulkLength(const RequestLimits& limits);
  bool AllowsShortArguments(const RequestLimits& limits) const;
  void TakeShortArguments(const RequestLimits& limits);
  // The number behind '*' or '$' (nothing if it is none); false if its line is not there in full.
  bool ReadLength(std::optional<int64_t>* length);
  Outcome Finish(size_t request_end);
  void ResetRequest();
  void MakeRoom(size_t bytes);

  char* buffer_;
  size_t capacity_;
  size_t begin_ = 0;  // of the request under way
  size_t scan_ = 0;   // the next byte to look at; >= begin_
  size_t line_ = 0;   // where the line under way begins; begin_ <= line_ <= scan_
  size_t end_ = 0;    // of what was received

  int64_t arguments_missing_ = kUnknown;  // of the multibulk under way
  int64_t bulk_bytes_ = kUnknown;         // of the argument under way
  bool handed_out_ = false;               // the request before begins at begin_ and ends at scan_
  std::vector<Place> places_;
  std::vector<std::string_view> args_;
  std::vector<std::string> inline_words_;
  std::string error_;
};

}  // namespace warren

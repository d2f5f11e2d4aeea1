// How does a function say that it failed for a reason the caller must handle?
//
// Expected failures (key missing, bad input, disk full) travel as Result<T>; broken invariants are
// CHECKs (base/check.h). Nothing in the server throws on purpose.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace warren {

// One value per distinct reaction of some caller; the text says the rest.
enum class ErrorCode : unsigned char {
  kGeneric,   // RESP prefix ERR
  kNoSpace,   // RESP prefix NOSPACE: disk full or file-size limit; works again when there is room
  kCorrupt,   // RESP prefix CORRUPT: bytes on disk fail their checks
  kIo,        // RESP prefix IOERR: the operating system refused a read or write
  kBusy,      // RESP prefix BUSY: a resource is exhausted just now; the caller may try again
  kShutdown,  // the process was told to end while it waited
  // Somebody else's lock is in the way and nothing has been done: the caller asks the lock table
  // for a lock of its own, then tries again. Never reaches a client.
  kConflict,
  kDeadlock,     // RESP prefix DEADLOCK: chosen to end a circle of waits; its locks must go
  kLockTimeout,  // RESP prefix LOCKTIMEOUT: lock_timeout has passed
  kAborted,      // RESP prefix ABORTED: the transaction is beyond use until ROLLBACK
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kGeneric;
  std::string message;  // lower case, no full stop: what file, then what, then why
};

template <typename... Args>
Error MakeError(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

// A T or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::move(value)) {}  // NOLINT: implicit, so that `return value;` reads well
  Result(Error error) : state_(std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace warren

#define WARREN_CONCAT_INNER(a, b) a##b
#define WARREN_CONCAT(a, b) WARREN_CONCAT_INNER(a, b)

// Returns the error of a Status or Result from the enclosing function, if it is one.
#define RETURN_IF_ERROR(expression)                               \
  do {                                                            \
    if (auto warren_status_ = (expression); !warren_status_.ok()) \
      return std::move(warren_status_).error();                   \
  } while (false)

// ASSIGN_OR_RETURN(auto page, Find(no)): the value, or return its error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(WARREN_CONCAT(warren_result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).error();           \
  declaration = std::move(result).value()

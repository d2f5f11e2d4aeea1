#include "postmaster/pid_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace warren {
namespace {

// Somebody who only looks (Holder) takes the lock for a moment; a postmaster tries a little longer.
constexpr int kLockAttempts = 10;
constexpr int kLockRetryMs = 20;

std::string PathIn(const std::string& data_directory) { return data_directory + "/postmaster.pid"; }

template <typename Number>
void ParseNumber(std::string_view text, Number* number) {
  std::from_chars(text.data(), text.data() + text.size(), *number);
}

bool TryLock(int fd, int operation) {
  while (flock(fd, operation | LOCK_NB) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

bool LockWithRetries(int fd) {
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    if (TryLock(fd, LOCK_EX)) return true;
    poll(nullptr, 0, kLockRetryMs);
  }
  return false;
}

// False if the file was removed, or replaced, between our open and our lock.
bool StillInPlace(int fd, const std::string& path) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Error HeldError(const std::string& data_directory, const PidFileContent& holder) {
  if (IsPostmasterAlive(holder)) {
    return MakeError(ErrorCode::kBusy,
                     "data directory \"{}\": in use by the postmaster with pid {}", data_directory,
                     holder.pid);
  }
  return MakeError(
      ErrorCode::kBusy,
      "data directory \"{}\": in use by processes of the postmaster with pid {}, which "
      "itself is gone",
      data_directory, holder.pid);
}

}  // namespace

std::string FormatPidFile(const PidFileContent& content) {
  std::string text = fmt::format("pid {}\nstarted {}\nphase {}\nport {}\n", content.pid,
                                 content.start_seconds, content.phase, content.port);
  if (!content.recovery.empty()) text += fmt::format("recovery {}\n", content.recovery);
  if (!content.unix_socket.empty()) text += fmt::format("unix_socket {}\n", content.unix_socket);
  for (const std::string& listener : content.listeners)
    text += fmt::format("listen {}\n", listener);
  text += fmt::format("data_directory {}\n", content.data_directory);
  return text;
}

PidFileContent ParsePidFile(const std::string& text) {
  PidFileContent content;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t line_end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(std::min(line_end + 1, rest.size()));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, space);
    const std::string_view value = line.substr(space + 1);
    if (name == "pid") ParseNumber(value, &content.pid);
    if (name == "started") ParseNumber(value, &content.start_seconds);
    if (name == "phase") content.phase = value;
    if (name == "recovery") content.recovery = value;
    if (name == "port") ParseNumber(value, &content.port);
    if (name == "unix_socket") content.unix_socket = value;
    if (name == "listen") content.listeners.emplace_back(value);
    if (name == "data_directory") content.data_directory = value;
  }
  return content;
}

Result<PidFile> PidFile::Acquire(const std::string& data_directory) {
  const std::string path = PathIn(data_directory);
  for (;;) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid())
      return SystemError(errno, fmt::format("lock file \"{}\"", path), "cannot open");
    if (!LockWithRetries(fd.get())) {
      ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
      return HeldError(data_directory, ParsePidFile(text));
    }
    // The former holder may have removed the file under us: then our lock is on a nameless file and
    // would keep nobody out.
    if (StillInPlace(fd.get(), path)) return PidFile(path, std::move(fd));
  }
}

Status PidFile::Write(const PidFileContent& content) {
  const std::string text = FormatPidFile(content);
  const std::string file = fmt::format("lock file \"{}\"", path_);
  RETURN_IF_ERROR(PwriteFully(fd_.get(), std::as_bytes(std::span(text)), 0, file));
  // In place, because a rename would leave the lock behind; so a reader may see old lines at the
  // end.
  if (ftruncate(fd_.get(), static_cast<off_t>(text.size())) != 0) {
    return SystemError(errno, file, "cannot truncate");
  }
  return {};
}

PidFile::~PidFile() {
  if (fd_.valid()) unlink(path_.c_str());
}

Result<std::optional<PidFileContent>> PidFile::Holder(const std::string& data_directory) {
  const std::string path = PathIn(data_directory);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::optional<PidFileContent>{};
  if (!fd.valid()) return SystemError(errno, fmt::format("lock file \"{}\"", path), "cannot open");
  if (TryLock(fd.get(), LOCK_SH)) return std::optional<PidFileContent>{};  // closing unlocks
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  return std::optional(ParsePidFile(text));
}

bool IsPostmasterAlive(const PidFileContent& content) {
  if (content.pid <= 0) return false;
  const auto title = ReadWholeFile(fmt::format("/proc/{}/cmdline", content.pid));
  return title.ok() && title->starts_with("warren: postmaster");
}

}  // namespace warren

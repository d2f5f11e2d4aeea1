#include "tests/support/fault_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>

namespace warren::test {
namespace {

std::string g_directory;
FaultFs::Before g_before;
FaultFs::After g_after;
bool g_watching = false;

constexpr std::array<std::string_view, 9> kCallNames = {
    "open", "create", "read", "write", "sync", "allocate", "truncate", "rename", "unlink"};

std::string PathOf(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char path[4096];
  const ssize_t bytes = readlink(link.c_str(), path, sizeof path);
  return bytes < 0 ? std::string() : std::string(path, static_cast<size_t>(bytes));
}

bool IsWatched(const std::string& path) { return g_watching && path.starts_with(g_directory); }

// Calls made by the test's own functions pass unseen.
class Unseen {
 public:
  Unseen() { g_watching = false; }
  ~Unseen() { g_watching = true; }
};

FileVerdict Ask(const FileEvent& event) {
  const Unseen unseen;
  return g_before(event);
}

void Tell(const FileEvent& event) {
  const int error = errno;
  if (g_watching && g_after) {
    const Unseen unseen;
    g_after(event);
  }
  errno = error;
}

// A call that either is made by `call` or fails. -1 and errno is its way to fail.
template <typename Call>
auto Pass(const FileEvent& event, Call call) -> decltype(call()) {
  const FileVerdict verdict = Ask(event);
  if (verdict.error != 0) {
    errno = verdict.error;
    return -1;
  }
  const auto result = call();
  if (result >= 0) Tell(event);
  return result;
}

}  // namespace

std::string_view FileCallName(FileCall call) { return kCallNames.at(static_cast<size_t>(call)); }

void FaultFs::Watch(std::string directory, Before before, After after) {
  g_directory = std::move(directory);
  g_before = std::move(before);
  g_after = std::move(after);
  g_watching = true;
}

void FaultFs::Ignore() {
  g_watching = false;
  g_before = {};
  g_after = {};
}

}  // namespace warren::test

using warren::test::FileCall;
using warren::test::FileEvent;
using warren::test::FileVerdict;
namespace fs = warren::test;

// The linker's --wrap: a call of open() elsewhere becomes one of __wrap_open(), and __real_open()
// is the C library's.
extern "C" {

int __real_open(const char* path, int flags, ...);
ssize_t __real_pread(int fd, void* to, size_t bytes, off_t offset);
ssize_t __real_pwrite(int fd, const void* from, size_t bytes, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_posix_fallocate(int fd, off_t offset, off_t bytes);
int __real_ftruncate(int fd, off_t bytes);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);

int __wrap_open(const char* path, int flags, ...);
ssize_t __wrap_pread(int fd, void* to, size_t bytes, off_t offset);
ssize_t __wrap_pwrite(int fd, const void* from, size_t bytes, off_t offset);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_rename(const char* from, const char* to);
int __wrap_unlink(const char* path);

int __wrap_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  if (!fs::IsWatched(path)) return __real_open(path, flags, mode);
  struct stat status;
  const bool makes = (flags & O_TRUNC) != 0 || ((flags & O_CREAT) != 0 && stat(path, &status) != 0);
  const FileEvent event{.call = makes ? FileCall::kCreate : FileCall::kOpen, .path = path};
  return fs::Pass(event, [&] { return __real_open(path, flags, mode); });
}

ssize_t __wrap_pread(int fd, void* to, size_t bytes, off_t offset) {
  FileEvent event{.call = FileCall::kRead, .path = fs::g_watching ? fs::PathOf(fd) : ""};
  if (!fs::IsWatched(event.path)) return __real_pread(fd, to, bytes, offset);
  event.offset = static_cast<uint64_t>(offset);
  event.bytes = bytes;
  return fs::Pass(event, [&] { return __real_pread(fd, to, bytes, offset); });
}

ssize_t __wrap_pwrite(int fd, const void* from, size_t bytes, off_t offset) {
  FileEvent event{.call = FileCall::kWrite, .path = fs::g_watching ? fs::PathOf(fd) : ""};
  if (!fs::IsWatched(event.path)) return __real_pwrite(fd, from, bytes, offset);
  event.offset = static_cast<uint64_t>(offset);
  event.bytes = bytes;
  event.data = {static_cast<const std::byte*>(from), bytes};
  const FileVerdict verdict = fs::Ask(event);
  ssize_t done = 0;
  if (verdict.error == 0 || verdict.half) {
    done = __real_pwrite(fd, from, verdict.half ? (bytes + 1) / 2 : bytes, offset);
    if (done < 0) return done;
    event.bytes = static_cast<uint64_t>(done);
    event.data = event.data.first(event.bytes);
    fs::Tell(event);
  }
  if (verdict.error == 0) return done;
  errno = verdict.error;
  return -1;
}

int __wrap_fsync(int fd) {
  const FileEvent event{
      .call = FileCall::kSync, .path = fs::g_watching ? fs::PathOf(fd) : "", .fd = fd};
  // What is durable is decided by the test: the disk need not be troubled.
  if (!fs::IsWatched(event.path)) return __real_fsync(fd);
  return fs::Pass(event, [] { return 0; });
}

int __wrap_fdatasync(int fd) {
  const FileEvent event{
      .call = FileCall::kSync, .path = fs::g_watching ? fs::PathOf(fd) : "", .fd = fd};
  if (!fs::IsWatched(event.path)) return __real_fdatasync(fd);
  return fs::Pass(event, [] { return 0; });
}

// Returns its error.
int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes) {
  FileEvent event{.call = FileCall::kAllocate, .path = fs::g_watching ? fs::PathOf(fd) : ""};
  if (!fs::IsWatched(event.path)) return __real_posix_fallocate(fd, offset, bytes);
  event.offset = static_cast<uint64_t>(offset);
  event.bytes = static_cast<uint64_t>(bytes);
  if (const FileVerdict verdict = fs::Ask(event); verdict.error != 0) return verdict.error;
  const int error = __real_posix_fallocate(fd, offset, bytes);
  if (error == 0) fs::Tell(event);
  return error;
}

int __wrap_ftruncate(int fd, off_t bytes) {
  FileEvent event{.call = FileCall::kTruncate, .path = fs::g_watching ? fs::PathOf(fd) : ""};
  if (!fs::IsWatched(event.path)) return __real_ftruncate(fd, bytes);
  event.offset = static_cast<uint64_t>(bytes);
  return fs::Pass(event, [&] { return __real_ftruncate(fd, bytes); });
}

int __wrap_rename(const char* from, const char* to) {
  if (!fs::IsWatched(from)) return __real_rename(from, to);
  const FileEvent event{.call = FileCall::kRename, .path = from, .to_path = to};
  return fs::Pass(event, [&] { return __real_rename(from, to); });
}

int __wrap_unlink(const char* path) {
  if (!fs::IsWatched(path)) return __real_unlink(path);
  const FileEvent event{.call = FileCall::kUnlink, .path = path};
  return fs::Pass(event, [&] { return __real_unlink(path); });
}

}  // extern "C"

// The memory functions and system calls that the linker leads here (--wrap): a call of pwrite()
// elsewhere becomes one of __wrap_pwrite(), and __real_pwrite() is the C library's.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdarg>
#include <cstdio>

#include "tests/crash/store_events.h"

using warren::test::Call;
using warren::test::CallKind;
using warren::test::kAppend;
using warren::test::NoteStore;
namespace events = warren::test;

extern "C" {

void* __real_memcpy(void* to, const void* from, size_t bytes);
void* __real_memmove(void* to, const void* from, size_t bytes);
void* __real_memset(void* to, int value, size_t bytes);
void* __real_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_open(const char* path, int flags, ...);
ssize_t __real_read(int fd, void* to, size_t bytes);
ssize_t __real_pread(int fd, void* to, size_t bytes, off_t offset);
ssize_t __real_write(int fd, const void* from, size_t bytes);
ssize_t __real_pwrite(int fd, const void* from, size_t bytes, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_posix_fallocate(int fd, off_t offset, off_t bytes);
int __real_ftruncate(int fd, off_t bytes);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);
ssize_t __real_recv(int fd, void* to, size_t bytes, int flags);
ssize_t __real_send(int fd, const void* from, size_t bytes, int flags);
int __real_poll(pollfd* fds, nfds_t count, int timeout_ms);
int __real_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);
int __real_kill(pid_t pid, int signal);
long __real_syscall(long number, ...);

void* __wrap_memcpy(void* to, const void* from, size_t bytes);
void* __wrap_memmove(void* to, const void* from, size_t bytes);
void* __wrap_memset(void* to, int value, size_t bytes);
void* __wrap_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_open(const char* path, int flags, ...);
ssize_t __wrap_read(int fd, void* to, size_t bytes);
ssize_t __wrap_pread(int fd, void* to, size_t bytes, off_t offset);
ssize_t __wrap_write(int fd, const void* from, size_t bytes);
ssize_t __wrap_pwrite(int fd, const void* from, size_t bytes, off_t offset);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_rename(const char* from, const char* to);
int __wrap_unlink(const char* path);
ssize_t __wrap_recv(int fd, void* to, size_t bytes, int flags);
ssize_t __wrap_send(int fd, const void* from, size_t bytes, int flags);
int __wrap_poll(pollfd* fds, nfds_t count, int timeout_ms);
int __wrap_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);
int __wrap_kill(pid_t pid, int signal);
long __wrap_syscall(long number, ...);

void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  if (bytes != 0) NoteStore(to, bytes);
  return __real_memcpy(to, from, bytes);
}

void* __wrap_memmove(void* to, const void* from, size_t bytes) {
  if (bytes != 0) NoteStore(to, bytes);
  return __real_memmove(to, from, bytes);
}

void* __wrap_memset(void* to, int value, size_t bytes) {
  if (bytes != 0) NoteStore(to, bytes);
  return __real_memset(to, value, bytes);
}

void* __wrap_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void* mapped = __real_mmap(at, bytes, protection, flags, fd, offset);
  if (mapped != MAP_FAILED && (flags & MAP_SHARED) != 0 && fd >= 0) {
    auto* const begin = static_cast<std::byte*>(mapped);
    events::g_watched = {begin, begin + bytes};
  }
  return mapped;
}

}  // extern "C"

namespace {

template <typename Function>
auto Tell(const Call& call, Function function) {
  events::TellBefore(call);
  const auto result = function();
  events::TellAfter(call, static_cast<long>(result));
  return result;
}

}  // namespace

extern "C" {

int __wrap_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  struct stat status;
  const bool makes = (flags & O_TRUNC) != 0 || ((flags & O_CREAT) != 0 && stat(path, &status) != 0);
  return Tell({.kind = makes ? CallKind::kCreate : CallKind::kOpen, .path = path},
              [&] { return __real_open(path, flags, mode); });
}

ssize_t __wrap_read(int fd, void* to, size_t bytes) {
  return Tell({.kind = CallKind::kRead, .fd = fd, .bytes = bytes, .into = to},
              [&] { return __real_read(fd, to, bytes); });
}

ssize_t __wrap_pread(int fd, void* to, size_t bytes, off_t offset) {
  return Tell({.kind = CallKind::kRead,
               .fd = fd,
               .offset = static_cast<uint64_t>(offset),
               .bytes = bytes,
               .into = to},
              [&] { return __real_pread(fd, to, bytes, offset); });
}

ssize_t __wrap_write(int fd, const void* from, size_t bytes) {
  const Call call{
      .kind = CallKind::kWrite, .fd = fd, .offset = kAppend, .bytes = bytes, .data = from};
  if (events::DiesInWrite(call)) (void)!__real_write(fd, from, (bytes + 1) / 2);
  return Tell(call, [&] { return __real_write(fd, from, bytes); });
}

ssize_t __wrap_pwrite(int fd, const void* from, size_t bytes, off_t offset) {
  const Call call{.kind = CallKind::kWrite,
                  .fd = fd,
                  .offset = static_cast<uint64_t>(offset),
                  .bytes = bytes,
                  .data = from};
  if (events::DiesInWrite(call)) (void)!__real_pwrite(fd, from, (bytes + 1) / 2, offset);
  return Tell(call, [&] { return __real_pwrite(fd, from, bytes, offset); });
}

int __wrap_fsync(int fd) {
  return Tell({.kind = CallKind::kSync, .fd = fd},
              [&] { return events::SyncsAreSkipped() ? 0 : __real_fsync(fd); });
}

int __wrap_fdatasync(int fd) {
  return Tell({.kind = CallKind::kSync, .fd = fd},
              [&] { return events::SyncsAreSkipped() ? 0 : __real_fdatasync(fd); });
}

// Returns its error.
int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes) {
  const Call call{.kind = CallKind::kAllocate,
                  .fd = fd,
                  .offset = static_cast<uint64_t>(offset),
                  .bytes = static_cast<uint64_t>(bytes)};
  events::TellBefore(call);
  const int error = __real_posix_fallocate(fd, offset, bytes);
  events::TellAfter(call, -error);
  return error;
}

int __wrap_ftruncate(int fd, off_t bytes) {
  return Tell({.kind = CallKind::kTruncate, .fd = fd, .offset = static_cast<uint64_t>(bytes)},
              [&] { return __real_ftruncate(fd, bytes); });
}

int __wrap_rename(const char* from, const char* to) {
  return Tell({.kind = CallKind::kRename, .path = from, .to_path = to},
              [&] { return __real_rename(from, to); });
}

int __wrap_unlink(const char* path) {
  return Tell({.kind = CallKind::kUnlink, .path = path}, [&] { return __real_unlink(path); });
}

ssize_t __wrap_recv(int fd, void* to, size_t bytes, int flags) {
  return Tell({.kind = CallKind::kReceive, .fd = fd, .bytes = bytes, .into = to},
              [&] { return __real_recv(fd, to, bytes, flags); });
}

ssize_t __wrap_send(int fd, const void* from, size_t bytes, int flags) {
  return Tell({.kind = CallKind::kSend, .fd = fd, .bytes = bytes, .data = from},
              [&] { return __real_send(fd, from, bytes, flags); });
}

int __wrap_poll(pollfd* fds, nfds_t count, int timeout_ms) {
  return Tell({.kind = CallKind::kSleep}, [&] { return __real_poll(fds, count, timeout_ms); });
}

int __wrap_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  return Tell({.kind = CallKind::kSleep}, [&] { return __real_ppoll(fds, count, timeout, mask); });
}

int __wrap_kill(pid_t pid, int signal) {
  return Tell({.kind = CallKind::kSignal, .fd = pid}, [&] { return __real_kill(pid, signal); });
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  const auto make = [&] { return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number != SYS_futex) return make();
  const bool wakes =
      (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE_BITSET || (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
  return Tell({.kind = wakes ? CallKind::kWake : CallKind::kSleep,
               .bytes = static_cast<uint64_t>(a[2]),
               .data = reinterpret_cast<const void*>(a[0])},
              make);
}

}  // extern "C"

// The functions that the compiler's instrumentation calls, and who is told.
#include "tests/crash/store_events.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "tests/crash/store_countdown.h"

extern "C" {
int __real_kill(pid_t pid, int signal);
int __real_open(const char* path, int flags, ...);
void* __real_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset);
}

namespace warren::test {

WatchedMemory g_watched;

namespace {

EventWatcher g_watcher;
StoreCountdown* g_countdown = nullptr;
pid_t g_pid = 0;  // getpid() at each event would cost too much

void RememberPid() { g_pid = getpid(); }

// Before main.
[[gnu::constructor]] void MapCountdown() {
  RememberPid();
  pthread_atfork(nullptr, nullptr, RememberPid);
  const char* path = std::getenv("WARREN_STORE_COUNTDOWN");
  if (path == nullptr) return;
  const int fd = __real_open(path, O_RDWR | O_CLOEXEC);
  void* at =
      __real_mmap(nullptr, sizeof(StoreCountdown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || at == MAP_FAILED) std::abort();
  close(fd);
  g_countdown = static_cast<StoreCountdown*>(at);
}

bool IsVictim() {
  return g_countdown != nullptr && g_countdown->victim_pid.load(std::memory_order_acquire) == g_pid;
}

void Die(StoreEventClass what, uint64_t at) {
  g_countdown->died_at.store(at);
  g_countdown->died_class.store(what);
  g_countdown->dying.store(1);
  timespec began{}, now{};
  clock_gettime(CLOCK_MONOTONIC, &began);
  do {
    constexpr timespec kMoment{.tv_sec = 0, .tv_nsec = 200'000};
    if (g_countdown->linger.load() != 0) nanosleep(&kMoment, nullptr);
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (g_countdown->linger.load() != 0 && now.tv_sec - began.tv_sec < 2);
  for (;;) __real_kill(g_pid, SIGKILL);
}

void Count(StoreEventClass what, uint64_t at) {
  if ((g_countdown->classes.load(std::memory_order_relaxed) & what) == 0) return;
  g_countdown->counted.store(g_countdown->counted.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
  const int64_t left = g_countdown->left.load(std::memory_order_relaxed);
  if (left <= 0) return;
  g_countdown->left.store(left - 1, std::memory_order_relaxed);
  if (left == 1) Die(what, at);
}

}  // namespace

void SetEventWatcher(const EventWatcher& watcher) { g_watcher = watcher; }
WatchedMemory GetWatchedMemory() { return g_watched; }

bool SyncsAreSkipped() { return g_watcher.skip_syncs; }

void TellStore(void* to, size_t bytes) {
  if (g_watcher.before_store != nullptr) g_watcher.before_store(to, bytes);
  if (!IsVictim()) return;
  const auto offset = static_cast<uint64_t>(static_cast<std::byte*>(to) - g_watched.begin);
  Count(bytes > 8 ? kRangeEvent : kStoreEvent, offset);
}

bool DiesInWrite(const Call& call) {
  return call.kind == CallKind::kWrite && IsVictim() && g_countdown->left.load() == 1 &&
         (g_countdown->classes.load() & kCallEvent) != 0 && g_countdown->halve_writes.load() != 0;
}

void TellBefore(const Call& call) {
  if (g_watcher.before_call != nullptr) g_watcher.before_call(call);
  if (IsVictim()) Count(kCallEvent, static_cast<uint64_t>(call.kind));
}

void TellAfter(const Call& call, long result) {
  if (g_watcher.after_call != nullptr) g_watcher.after_call(call, result);
}

}  // namespace warren::test

using warren::test::NoteStore;

// What g++ 12 makes of -fsanitize=thread. Reads are of no interest. Every order is strengthened to
// seq_cst: with one process watched it makes no difference.
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void** at, void*) { NoteStore(at, sizeof *at); }
void __tsan_read_range(void*, size_t) {}
void __tsan_write_range(void* at, size_t bytes) { NoteStore(at, bytes); }

#define WARREN_PLAIN(bytes)                                                       \
  void __tsan_read##bytes(void*) {}                                               \
  void __tsan_unaligned_read##bytes(void*) {}                                     \
  void __tsan_volatile_read##bytes(void*) {}                                      \
  void __tsan_unaligned_volatile_read##bytes(void*) {}                            \
  void __tsan_write##bytes(void* at) { NoteStore(at, bytes); }                    \
  void __tsan_unaligned_write##bytes(void* at) { NoteStore(at, bytes); }          \
  void __tsan_volatile_write##bytes(void* at) { NoteStore(at, bytes); }           \
  void __tsan_unaligned_volatile_write##bytes(void* at) { NoteStore(at, bytes); } \
  void __tsan_read_write##bytes(void* at) { NoteStore(at, bytes); }               \
  void __tsan_unaligned_read_write##bytes(void* at) { NoteStore(at, bytes); }
WARREN_PLAIN(1)
WARREN_PLAIN(2)
WARREN_PLAIN(4)
WARREN_PLAIN(8)
WARREN_PLAIN(16)
#undef WARREN_PLAIN

#define WARREN_FETCH(bits, type, name)                                          \
  type __tsan_atomic##bits##_fetch_##name(volatile type* at, type value, int) { \
    NoteStore(const_cast<type*>(at), sizeof value);                             \
    return __atomic_fetch_##name(at, value, __ATOMIC_SEQ_CST);                  \
  }
#define WARREN_COMPARE_EXCHANGE(bits, type, strength, weak)                                 \
  bool __tsan_atomic##bits##_compare_exchange_##strength(volatile type* at, type* expected, \
                                                         type value, int, int) {            \
    NoteStore(const_cast<type*>(at), sizeof value);                                         \
    return __atomic_compare_exchange_n(at, expected, value, weak, __ATOMIC_SEQ_CST,         \
                                       __ATOMIC_SEQ_CST);                                   \
  }
#define WARREN_ATOMIC(bits, type)                                                                 \
  type __tsan_atomic##bits##_load(const volatile type* at, int) {                                 \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                               \
  void __tsan_atomic##bits##_store(volatile type* at, type value, int) {                          \
    NoteStore(const_cast<type*>(at), sizeof value);                                               \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                \
  }                                                                                               \
  type __tsan_atomic##bits##_exchange(volatile type* at, type value, int) {                       \
    NoteStore(const_cast<type*>(at), sizeof value);                                               \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                      \
  }                                                                                               \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* at, type expected, type value,   \
                                                  int, int) {                                     \
    NoteStore(const_cast<type*>(at), sizeof value);                                               \
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    return expected;                                                                              \
  }                                                                                               \
  WARREN_COMPARE_EXCHANGE(bits, type, strong, false)                                              \
  WARREN_COMPARE_EXCHANGE(bits, type, weak, true)                                                 \
  WARREN_FETCH(bits, type, add)                                                                   \
  WARREN_FETCH(bits, type, sub)                                                                   \
  WARREN_FETCH(bits, type, and)                                                                   \
  WARREN_FETCH(bits, type, or)                                                                    \
  WARREN_FETCH(bits, type, xor)                                                                   \
  WARREN_FETCH(bits, type, nand)
WARREN_ATOMIC(8, uint8_t)
WARREN_ATOMIC(16, uint16_t)
WARREN_ATOMIC(32, uint32_t)
WARREN_ATOMIC(64, uint64_t)
#undef WARREN_ATOMIC
#undef WARREN_COMPARE_EXCHANGE
#undef WARREN_FETCH

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"

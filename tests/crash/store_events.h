// What does a process store to shared memory and ask of the kernel, and in which order?
//
// In a build with WARREN_STORE_EVENTS (preset `sweep`; cmake/StoreEvents.cmake) the compiler puts a
// call before every load and store of the project's own code, as for the thread sanitizer, whose
// library is not linked: these calls end here, those for stores to the segment are handed on. The
// linker leads the memory functions and the system calls here, too. So nobody has to mark a place
// by hand, and none can be forgotten: a recorder proves at its end that what the segment held
// before plus all recorded stores is what it holds.
//
// A store is told of *before* it happens; its bytes are there at the next event. The compiler can't
// move a store across such a call, so the order seen is the order of the instrumented program.
//
// Limits: the segment is the last mapping made with MAP_SHARED of a file. Process-private,
// inherited by fork; one thread. See also: store_countdown.h, store_recorder.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warren::test {

enum class CallKind : uint8_t {
  kOpen,    // makes and cuts nothing
  kCreate,  // makes the file, or cuts it to nothing
  kRead,
  kWrite,
  kSync,
  kAllocate,
  kTruncate,
  kRename,
  kUnlink,
  kReceive,
  kSend,
  kSleep,  // poll, ppoll, a futex
  kWake,   // a futex
  kSignal,
};

struct Call {
  CallKind kind = CallKind::kOpen;
  int fd = -1;
  const char* path = nullptr;
  const char* to_path = nullptr;  // kRename
  uint64_t offset = 0;            // kTruncate: the new size; kWrite: kAppend if there is none
  uint64_t bytes = 0;
  void* into = nullptr;        // kRead, kReceive
  const void* data = nullptr;  // kWrite, kSend; kSleep, kWake: the futex, if it is one
};
inline constexpr uint64_t kAppend = ~uint64_t{0};

// May store anywhere but to the segment, and must not make calls that it would be told of.
struct EventWatcher {
  void (*before_store)(void* to, size_t bytes) = nullptr;
  void (*before_call)(const Call& call) = nullptr;
  void (*after_call)(const Call& call, long result) = nullptr;  // result < 0: it failed
  bool skip_syncs = false;  // they succeed at once: what is durable is decided by the test
};
void SetEventWatcher(const EventWatcher& watcher);

struct WatchedMemory {
  std::byte* begin = nullptr;
  std::byte* end = nullptr;
};
WatchedMemory GetWatchedMemory();

// -- Between the two files that see events.

extern WatchedMemory g_watched;
void TellStore(void* to, size_t bytes);
void TellBefore(const Call& call);
void TellAfter(const Call& call, long result);
bool SyncsAreSkipped();
// Shall this write only begin, for the process dies in it?
bool DiesInWrite(const Call& call);

inline void NoteStore(void* to, size_t bytes) {
  auto* const at = static_cast<std::byte*>(to);
  if (at < g_watched.begin || at >= g_watched.end) [[likely]]
    return;
  TellStore(to, bytes);
}

}  // namespace warren::test

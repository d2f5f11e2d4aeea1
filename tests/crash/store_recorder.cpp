#include "tests/crash/store_recorder.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shmem/segment.h"

namespace warren::test {
namespace {

constexpr size_t kLogBytes = size_t{1} << 30;  // of address space: what is not used costs nothing

struct EventHead {
  uint64_t offset, bytes;
  uint64_t data_bytes;
  uint32_t path_bytes, to_path_bytes;
  RecordedEvent::Kind kind;
  CallKind call;
  uint8_t last;
  uint8_t reserved[5];
};

// Of the recording child.
struct Recording {
  std::string directory;
  std::byte* log = nullptr;
  size_t used = 0;
  std::vector<std::byte> shadow;  // the segment as recorded so far
  std::byte* pending = nullptr;   // announced, and made by the time of the next event
  size_t pending_bytes = 0;
};
Recording* g_recording = nullptr;

size_t Aligned(size_t bytes) { return (bytes + 7) / 8 * 8; }

void Put(const void* from, size_t bytes) {
  if (g_recording->used + bytes > kLogBytes - sizeof(EventHead)) {
    std::fputs("store recorder: the operation is too long\n", stderr);
    std::abort();
  }
  if (bytes != 0) std::memcpy(g_recording->log + g_recording->used, from, bytes);
  g_recording->used += bytes;
}

void Append(EventHead head, const void* data, std::string_view path = {},
            std::string_view to_path = {}) {
  head.path_bytes = static_cast<uint32_t>(path.size());
  head.to_path_bytes = static_cast<uint32_t>(to_path.size());
  Put(&head, sizeof head);
  Put(path.data(), path.size());
  Put(to_path.data(), to_path.size());
  Put(data, head.data_bytes);
  g_recording->used = Aligned(g_recording->used);
}

// The store that was announced has been made.
void Settle() {
  Recording& recording = *g_recording;
  if (recording.pending == nullptr) return;
  const auto offset = static_cast<size_t>(recording.pending - GetWatchedMemory().begin);
  std::byte* const shadow = recording.shadow.data() + offset;
  if (std::memcmp(shadow, recording.pending, recording.pending_bytes) != 0) {
    std::memcpy(shadow, recording.pending, recording.pending_bytes);
    Append({.offset = offset,
            .bytes = recording.pending_bytes,
            .data_bytes = recording.pending_bytes,
            .path_bytes = 0,
            .to_path_bytes = 0,
            .kind = RecordedEvent::kStore,
            .call = CallKind::kWrite,
            .last = 0,
            .reserved = {}},
           recording.pending);
  }
  recording.pending = nullptr;
}

void BeforeStore(void* to, size_t bytes) {
  Settle();
  g_recording->pending = static_cast<std::byte*>(to);
  g_recording->pending_bytes = bytes;
}

bool ChangesFile(CallKind kind) {
  return kind == CallKind::kCreate || kind == CallKind::kWrite || kind == CallKind::kAllocate ||
         kind == CallKind::kTruncate || kind == CallKind::kRename || kind == CallKind::kUnlink;
}

void NoteFile(const Call& call, long result) {
  const std::string path = call.path != nullptr ? call.path : PathOfDescriptor(call.fd);
  if (!path.starts_with(g_recording->directory)) return;
  const bool writes = call.kind == CallKind::kWrite;
  Append({.offset = call.offset,
          .bytes = call.bytes,
          .data_bytes = writes ? static_cast<uint64_t>(result) : 0,
          .path_bytes = 0,
          .to_path_bytes = 0,
          .kind = RecordedEvent::kFile,
          .call = call.kind,
          .last = 0,
          .reserved = {}},
         call.data, path, call.to_path != nullptr ? call.to_path : "");
}

void BeforeCall(const Call&) { Settle(); }

void AfterCall(const Call& call, long result) {
  if (result < 0) return;
  if (call.kind == CallKind::kRead) {
    // By the kernel, at once as far as anybody can tell.
    auto* const into = static_cast<std::byte*>(call.into);
    const WatchedMemory segment = GetWatchedMemory();
    if (result > 0 && into >= segment.begin && into < segment.end) {
      BeforeStore(into, static_cast<size_t>(result));
      Settle();
    }
  } else if (call.kind == CallKind::kSignal) {
    Append({.offset = static_cast<uint64_t>(call.fd),
            .bytes = 0,
            .data_bytes = 0,
            .path_bytes = 0,
            .to_path_bytes = 0,
            .kind = RecordedEvent::kSignal,
            .call = call.kind,
            .last = 0,
            .reserved = {}},
           nullptr);
  } else if (ChangesFile(call.kind)) {
    NoteFile(call, result);
  }
}

[[noreturn]] void ReportEscape(size_t offset) {
  std::string_view where = "?";
  for (const SharedStructureInfo& structure : Segment::Structures()) {
    if (offset >= structure.offset && offset < structure.offset + structure.bytes) {
      where = structure.name;
      offset -= structure.offset;
      break;
    }
  }
  std::fprintf(stderr, "store recorder: a store to %.*s offset %zu was not told\n",
               static_cast<int>(where.size()), where.data(), offset);
  std::abort();
}

}  // namespace

std::string PathOfDescriptor(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char path[4096];
  const ssize_t bytes = readlink(link.c_str(), path, sizeof path);
  return bytes < 0 ? std::string() : std::string(path, static_cast<size_t>(bytes));
}

StoreRecorder::StoreRecorder(std::string directory) : directory_(std::move(directory)) {
  void* at = mmap(nullptr, kLogBytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) std::abort();
  log_ = static_cast<std::byte*>(at);
}

StoreRecorder::~StoreRecorder() { munmap(log_, kLogBytes); }

void StoreRecorder::Begin() {
  const WatchedMemory segment = GetWatchedMemory();
  g_recording = new Recording{.directory = directory_,
                              .log = log_,
                              .used = 0,
                              .shadow = {segment.begin, segment.end},
                              .pending = nullptr,
                              .pending_bytes = 0};
  SetEventWatcher({.before_store = BeforeStore,
                   .before_call = BeforeCall,
                   .after_call = AfterCall,
                   .skip_syncs = true});
}

void StoreRecorder::End() {
  SetEventWatcher({});
  Settle();
  EventHead end{};
  end.last = 1;
  Put(&end, sizeof end);
  const WatchedMemory segment = GetWatchedMemory();
  const auto [shadow, now] =
      std::mismatch(g_recording->shadow.begin(), g_recording->shadow.end(), segment.begin);
  if (now != segment.end) ReportEscape(static_cast<size_t>(now - segment.begin));
}

std::vector<RecordedEvent> StoreRecorder::Events() const {
  std::vector<RecordedEvent> events;
  for (size_t at = 0;;) {
    EventHead head;
    std::memcpy(&head, log_ + at, sizeof head);
    if (head.last != 0) return events;
    const auto* const text = reinterpret_cast<const char*>(log_ + at + sizeof head);
    const std::byte* const data = log_ + at + sizeof head + head.path_bytes + head.to_path_bytes;
    events.push_back({.kind = head.kind,
                      .call = head.call,
                      .offset = head.offset,
                      .bytes = head.bytes,
                      .data = {data, head.data_bytes},
                      .path = {text, head.path_bytes},
                      .to_path = {text + head.path_bytes, head.to_path_bytes}});
    at = Aligned(at + sizeof head + head.path_bytes + head.to_path_bytes + head.data_bytes);
  }
}

}  // namespace warren::test

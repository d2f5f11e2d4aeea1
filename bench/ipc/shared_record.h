// How can many processes read a small record that one of them changes now and then?
//
// All have the same shape: Join() once in each process, Write() by one process alone, Read() by
// any. A record is whole if every word is its version plus its place; whoever reads checks that.
#pragma once

#include <array>
#include <atomic>

#include "bench/ipc/locks.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {

inline constexpr size_t kRecordWords = 16;
using RecordCopy = std::array<uint64_t, kRecordWords>;

inline bool IsWhole(const RecordCopy& copy) {
  uint64_t wrong = 0;
  for (size_t i = 0; i < kRecordWords; ++i) wrong |= copy[i] ^ (copy[0] + i);
  return wrong == 0;
}

// In shared memory. Atomic words, since a seqlock's reader looks while the writer writes; single
// loads and stores cost nothing extra.
struct alignas(kCacheLineBytes) SharedRecord {
  std::array<std::atomic<uint64_t>, kRecordWords> words;

  void Store(uint64_t version) {
    for (size_t i = 0; i < kRecordWords; ++i)
      words[i].store(version + i, std::memory_order_relaxed);
  }
  void Load(RecordCopy* copy) const {
    for (size_t i = 0; i < kRecordWords; ++i) (*copy)[i] = words[i].load(std::memory_order_relaxed);
  }
};

template <typename Lock>
class LockedRecord {
 public:
  LockedRecord() : memory_(sizeof(SharedRecord)), record_(memory_.Allocate<SharedRecord>()) {
    record_->Store(0);
  }
  void Join(int member) { lock_.Join(member); }
  void Write(uint64_t version) NO_THREAD_SAFETY_ANALYSIS {
    lock_.Lock();
    record_->Store(version);
    lock_.Unlock();
  }
  void Read(RecordCopy* copy) NO_THREAD_SAFETY_ANALYSIS {
    lock_.LockShared();
    record_->Load(copy);
    lock_.UnlockShared();
  }

 private:
  Lock lock_;
  SharedMemory memory_;
  SharedRecord* record_;
};

// Readers store nothing: they look at the version before and after, and again if it moved or was
// odd. A writer killed in the middle leaves it odd for ever.
class SeqlockRecord {
 public:
  SeqlockRecord() : memory_(sizeof(Guarded)), guarded_(memory_.Allocate<Guarded>()) {
    guarded_->record.Store(0);
  }
  void Join(int /*member*/) {}
  void Write(uint64_t version) {
    BeginWrite();
    guarded_->record.Store(version);
    guarded_->version.store(guarded_->version.load(std::memory_order_relaxed) + 1,
                            std::memory_order_release);  // partner of the first load in Read
  }
  // Of Write(), what comes before the change.
  void BeginWrite() {
    guarded_->version.store(guarded_->version.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
    // Odd before any word changes: partner of the fence in Read.
    std::atomic_thread_fence(std::memory_order_release);
  }
  void Read(RecordCopy* copy) const {
    Spinner spinner;
    while (true) {
      const uint64_t before = guarded_->version.load(std::memory_order_acquire);
      guarded_->record.Load(copy);
      // The words before the second look: partner of the fence in BeginWrite.
      std::atomic_thread_fence(std::memory_order_acquire);
      const uint64_t after = guarded_->version.load(std::memory_order_relaxed);
      if (before == after && before % 2 == 0) return;
      spinner.Pause();
    }
  }

 private:
  struct Guarded {
    alignas(kCacheLineBytes) std::atomic<uint64_t> version;
    SharedRecord record;
  };
  SharedMemory memory_;
  Guarded* guarded_;
};

}  // namespace warren::ipc

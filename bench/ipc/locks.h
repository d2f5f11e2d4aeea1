// Which locks are compared, and how is each taken?
//
// All have the same shape, so that a queue, a record or a death can be tried with each: made before
// the fork over shared memory, Join() once in each process, then Lock/Unlock, and LockShared/
// UnlockShared where there is such a mode.
#pragma once

#include <pthread.h>

#include <atomic>

#include "base/thread_annotations.h"
#include "bench/ipc/lock_segment.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {

// Test and test-and-set.
class SpinLock {
 public:
  static constexpr const char* kName = "spinlock";
  SpinLock() : memory_(sizeof(Word)), word_(memory_.Allocate<Word>()) {}
  void Join(int /*member*/) {}
  void Lock() {
    Spinner spinner;
    while (word_->taken.exchange(true, std::memory_order_acquire)) {
      while (word_->taken.load(std::memory_order_relaxed)) spinner.Pause();
    }
  }
  void Unlock() { word_->taken.store(false, std::memory_order_release); }

 private:
  struct alignas(kCacheLineBytes) Word {
    std::atomic<bool> taken;
  };
  SharedMemory memory_;
  Word* word_;
};

// pthread's, process-shared. `kRobust`: the next one in learns that the holder died.
template <bool kRobust>
class PthreadMutex {
 public:
  static constexpr const char* kName = kRobust ? "robust mutex" : "mutex";
  PthreadMutex() : memory_(sizeof(pthread_mutex_t)), mutex_(memory_.Allocate<pthread_mutex_t>()) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (kRobust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex_, &attributes);
    pthread_mutexattr_destroy(&attributes);
  }
  void Join(int /*member*/) {}
  // True if the former holder died in it; what it guards is as it was left.
  bool Lock() NO_THREAD_SAFETY_ANALYSIS {
    if (pthread_mutex_lock(mutex_) != EOWNERDEAD) return false;
    pthread_mutex_consistent(mutex_);
    return true;
  }
  void Unlock() NO_THREAD_SAFETY_ANALYSIS { pthread_mutex_unlock(mutex_); }

 private:
  SharedMemory memory_;
  pthread_mutex_t* mutex_;
};

class PthreadRwlock {
 public:
  static constexpr const char* kName = "rwlock";
  PthreadRwlock() : memory_(sizeof(pthread_rwlock_t)), lock_(memory_.Allocate<pthread_rwlock_t>()) {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  void Join(int /*member*/) {}
  void Lock() NO_THREAD_SAFETY_ANALYSIS { pthread_rwlock_wrlock(lock_); }
  void Unlock() NO_THREAD_SAFETY_ANALYSIS { pthread_rwlock_unlock(lock_); }
  void LockShared() NO_THREAD_SAFETY_ANALYSIS { pthread_rwlock_rdlock(lock_); }
  void UnlockShared() NO_THREAD_SAFETY_ANALYSIS { pthread_rwlock_unlock(lock_); }

 private:
  SharedMemory memory_;
  pthread_rwlock_t* lock_;
};

// Warren's own (lwlock/).
class WarrenLWLock {
 public:
  static constexpr const char* kName = "lwlock";
  void Join(int member) { segment_.Bind(member); }
  void Lock() NO_THREAD_SAFETY_ANALYSIS { AcquireExclusive(segment_.lock()); }
  void Unlock() NO_THREAD_SAFETY_ANALYSIS { ReleaseExclusive(segment_.lock()); }
  void LockShared() NO_THREAD_SAFETY_ANALYSIS { AcquireShared(segment_.lock()); }
  void UnlockShared() NO_THREAD_SAFETY_ANALYSIS { ReleaseShared(segment_.lock()); }
  LockSegment& segment() { return segment_; }

 private:
  LockSegment segment_;
};

}  // namespace warren::ipc

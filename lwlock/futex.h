// How does a process sleep until a word of shared memory changes?
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "base/clock.h"

namespace warren {

inline constexpr uint32_t kFutexAny = FUTEX_BITSET_MATCH_ANY;

inline long FutexCall(std::atomic<uint32_t>* word, int operation, uint32_t value,
                      const timespec* timeout, uint32_t bits) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation, value, timeout, nullptr,
                 bits);
}

// Sleeps while *word == value, until a wake that shares a bit with `bits`, a signal, or the deadline
// (MonotonicNs). False only if the deadline passed. Callers always look again.
inline bool FutexWait(std::atomic<uint32_t>* word, uint32_t value, int64_t deadline_ns,
                      uint32_t bits = kFutexAny) {
  const timespec deadline{.tv_sec = deadline_ns / 1'000'000'000, .tv_nsec = deadline_ns % 1'000'000'000};
  // Absolute and on CLOCK_MONOTONIC: that is what the bitset form of the call takes.
  return FutexCall(word, FUTEX_WAIT_BITSET, value, &deadline, bits) == 0 || errno != ETIMEDOUT;
}

inline void FutexWake(std::atomic<uint32_t>* word, int count, uint32_t bits = kFutexAny) {
  FutexCall(word, FUTEX_WAKE_BITSET, static_cast<uint32_t>(count), nullptr, bits);
}

}  // namespace warren

// How does a process sleep until a word of shared memory changes?
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "base/clock.h"

namespace warren {

inline constexpr uint32_t kFutexAny = FUTEX_BITSET_MATCH_ANY;

// The address that the kernel looks at. It is never dereferenced here, only in the kernel.
using FutexAddress = const void*;

inline FutexAddress FutexWord(const std::atomic<uint32_t>& word) { return &word; }

// A futex is 32 bits wide: those of the half of a 64-bit word that `bit` is in.
inline FutexAddress FutexHalf(const std::atomic<uint64_t>& word, uint64_t bit) {
  const bool upper = (bit >> 32) != 0;
  const bool second = (std::endian::native == std::endian::little) == upper;
  return reinterpret_cast<const char*>(&word) + (second ? 4 : 0);
}
inline uint64_t FutexHalfMask(uint64_t bit) {
  return (bit >> 32) != 0 ? 0xffff'ffff'0000'0000u : 0x0000'0000'ffff'ffffu;
}

inline long FutexCall(FutexAddress address, int operation, uint32_t value, const timespec* timeout,
                      uint32_t bits) {
  return syscall(SYS_futex, address, operation, value, timeout, nullptr, bits);
}

// Sleeps while the word == value, until a wake that shares a bit with `bits`, a signal, or the
// deadline (MonotonicNs). False only if the deadline passed. Callers always look again.
inline bool FutexWait(FutexAddress address, uint32_t value, int64_t deadline_ns,
                      uint32_t bits = kFutexAny) {
  const timespec deadline{.tv_sec = deadline_ns / 1'000'000'000,
                          .tv_nsec = deadline_ns % 1'000'000'000};
  // Absolute and on CLOCK_MONOTONIC: that is what the bitset form of the call takes.
  return FutexCall(address, FUTEX_WAIT_BITSET, value, &deadline, bits) == 0 || errno != ETIMEDOUT;
}

// How many were woken.
inline long FutexWake(FutexAddress address, int count, uint32_t bits = kFutexAny) {
  return FutexCall(address, FUTEX_WAKE_BITSET, static_cast<uint32_t>(count), nullptr, bits);
}

}  // namespace warren

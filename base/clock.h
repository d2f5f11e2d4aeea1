// What time is it?
#pragma once

#include <cstdint>
#include <ctime>

namespace warren {

inline int64_t ReadClockNs(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Wall clock, for expiry and for people; may jump.
inline int64_t WallClockUs() { return ReadClockNs(CLOCK_REALTIME) / 1000; }
inline int64_t WallClockMs() { return ReadClockNs(CLOCK_REALTIME) / 1'000'000; }

// Monotonic clock, for durations and timeouts; comparable between processes of one machine.
inline int64_t MonotonicNs() { return ReadClockNs(CLOCK_MONOTONIC); }
inline int64_t MonotonicUs() { return MonotonicNs() / 1000; }
inline int64_t MonotonicMs() { return MonotonicNs() / 1'000'000; }

}  // namespace warren

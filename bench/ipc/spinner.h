// How does a process wait without sleeping?
#pragma once

#include <sched.h>

#include <cstdint>

namespace warren::ipc {

// True in a process that shares its processor with others that are measured: a spinning wait then
// gives the processor away at every look, since nothing else would let the awaited one run.
inline bool g_spins_yield = false;

inline void CpuPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// One wait; Pause() between two looks.
class Spinner {
 public:
  void Pause() {
    if (g_spins_yield || ++looks_ % kLooksPerYield == 0) {
      sched_yield();
    } else {
      CpuPause();
    }
  }

 private:
  // Whom we wait for may have lost its processor to a stranger; some 100 microseconds.
  static constexpr uint32_t kLooksPerYield = 4096;
  uint32_t looks_ = 0;
};

}  // namespace warren::ipc

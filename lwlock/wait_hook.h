// What else must a process do while it sleeps for something in shared memory?
//
// The process monitor waits for locks like any other process, and the holder may be dead: then
// nobody but the monitor itself can take the lock away from it. So it looks for the newly dead from
// inside each of its sleeps, and now and then in long work.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lwlock/futex.h"

namespace warren {

// Process-private; set once. `run` acquires no lock and waits for nothing.
struct WaitHook {
  void (*run)() noexcept = nullptr;
  int64_t every_ns = 0;
};
inline constinit WaitHook g_wait_hook;

// In long work that does not sleep: runs the hook when it is due again.
inline void RunWaitHookIfDue() {
  static int64_t last_ns = 0;
  if (g_wait_hook.run == nullptr) return;
  const int64_t now_ns = MonotonicNs();
  if (now_ns - last_ns < g_wait_hook.every_ns) return;
  last_ns = now_ns;
  g_wait_hook.run();
}

// FutexWait, and meanwhile the hook, if this process has one: now and then, and after each wake-up.
// What the hook changes is seen, because the word is compared again.
inline bool FutexWaitHooked(FutexAddress address, uint32_t value, int64_t deadline_ns,
                            uint32_t bits = kFutexAny) {
  if (g_wait_hook.run == nullptr) return FutexWait(address, value, deadline_ns, bits);
  for (;;) {
    const int64_t until_ns = std::min(deadline_ns, MonotonicNs() + g_wait_hook.every_ns);
    const bool woken = FutexWait(address, value, until_ns, bits);
    g_wait_hook.run();
    if (woken) return true;
    if (until_ns == deadline_ns) return false;
  }
}

}  // namespace warren

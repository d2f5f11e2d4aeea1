// How is a process woken, wherever it sleeps?
//
// Setting a latch is one system call, kill(pid, SIGURG), so that setting and waking can't be
// separated by a death of the setter. The target's handler notes it in a process-private flag and
// makes its client socket non-blocking, so that a recv or send that was about to block returns
// EAGAIN instead: a backend can sleep in a plain blocking recv (one system call per command) and no
// wake-up falls between its last look at the flag and the sleep. SIGURG is ignored by default, so a
// signal that meets a process already gone, or (through a reused pid) a stranger, does nothing.
//
// Before its handlers are installed a process loses wake-ups, so whoever installs them looks at
// everything once afterwards (Proc::end_requested, settings, its parent).
//
// The same handler serves SIGTERM (end the session in order), SIGHUP (renew settings and logs);
// SIGQUIT ends the process at once (status 2).
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>

#include "shmem/proc.h"

namespace warren {

// Wakes the process in `slot` if it is still of that generation. Any process may call it; never
// waits.
void SetLatch(const ProcArray& procs, Owner target);

// Why this process was woken; each Take...() clears its flag.
class Latch {
 public:
  // Installs the handlers of this process: after the fork, before anything may sleep. Also takes
  // back what a child inherits from the postmaster: SIGINT is ignored (a terminal sends it to the
  // whole group, and it is meant for the postmaster alone), SIGCHLD is as by default, and the
  // signals concerned are unblocked.
  static void InstallHandlers();

  // The socket whose blocking calls a wake-up must interrupt; -1 for none.
  static void GuardSocket(int fd);

  // Call before a blocking call on the guarded socket: makes it blocking again. Any wake-up that
  // arrives after this call makes the next recv or send on it return EAGAIN or EINTR. So: Arm(),
  // then Pending(); if nothing is pending, recv.
  static void Arm();

  static bool Pending();             // any of the below
  static bool TakeLatch();           // SIGURG
  static bool TakeReload();          // SIGHUP
  static bool TerminateRequested();  // SIGTERM; stays set, and so keeps Pending() true

  // poll(2) that wakes for a latch too: -1 with errno EINTR as soon as something is Pending().
  static int Poll(std::span<pollfd> fds, int64_t timeout_ms);

  // Sleeps until something is Pending() or for `timeout_ms` (-1: for ever). For processes without a
  // socket. False if the time passed.
  static bool Wait(int64_t timeout_ms);
};

}  // namespace warren

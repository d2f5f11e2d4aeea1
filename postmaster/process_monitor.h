// Who clears away what a dead process has left behind?
//
// The process monitor, an auxiliary process. The postmaster reaps a process that died abnormally,
// marks its slot kDead and wakes the monitor, which finds its work by looking at the slots: the
// state of a repair is in the segment alone, so a successor of a killed monitor goes on where
// things stand.
//
//   phase 1   acquires no lock and waits for nothing: whoever waits for something that the dead one
//             can't do any more is woken. For every dead process, before any phase 2.
//   phase 2   ordinary work, with the locks and waits of any process: a commit past its commit
//   point
//             is finished, locks of the lock table are dropped, and by the last store the slot is
//             free.
//
// Every step may be done again. See also: crash_policy.h, which deaths don't come here.
#pragma once

namespace warren {

// Returns the exit code.
int ProcessMonitorMain();

}  // namespace warren

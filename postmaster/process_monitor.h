// Who clears away what a dead process has left behind?
//
// The process monitor, an auxiliary process. The postmaster reaps a process that died abnormally,
// marks its slot kDead and wakes the monitor, which finds its work by looking at the slots: the
// state of a repair is in the segment alone, so a successor of a killed monitor goes on where
// things stand.
//
//   phase 1   acquires no lock and waits for nothing (storage/death_repair.h): its change of pages
//             is taken back or finished, its LWLocks are free, whoever waits is woken. For every
//             dead process, before any phase 2, and from inside the sleeps of a phase 2: what that
//             waits for may be held by one that has just died.
//   phase 2   ordinary work, with the locks and waits of any process: a commit past its commit
//             point is finished, locks of the lock table are dropped, and by the last store the
//             slot is free.
//
// Every step may be done again. What can't be made whole ends the monitor with kCannotRepair, and
// all processes are stopped. See also: crash_policy.h, which deaths don't come here.
#pragma once

namespace warren {

// Of every tranche; process-private.
void RegisterAllRepairs();

// Returns the exit code.
int ProcessMonitorMain();

}  // namespace warren

// Does a death at any store of an operation leave what can be made whole?
//
// One process (slot 1) runs the operation while nobody else does anything, and its stores to the
// segment and changes of files are recorded. Then the operation is replayed: for every k the
// segment and the files are as they were before it plus its first k events, and a child is forked
// that does what the process monitor does (both phases), and then looks at everything. A store of
// more than eight bytes, a read into the segment and a write to a file are also cut: nothing, the
// first half, the last half (of a file: the first half), all.
//
// What has to hold at every such point:
//   - the repair is not refused, or the operation is one for which the full restart is right
//     (Operation::may_restart): then redo gives all or nothing;
//   - all locks that the dead one held, or was about to take or let go, are free, and whoever may
//     sleep there is woken, as are those who wait for the log;
//   - nothing is left over: locks of the lock table, a commit, reserves, a change armed, and of one
//     whose slot says that it has ended, not even before the repair;
//   - cache, lock table and store say nothing against themselves;
//   - the operation has had its whole effect or none, and once it had it, it has it at every later
//     point;
//   - others can go on: change keys, lock what was locked, flush, write every page out; and a new
//     process can do so in the dead one's slot;
//   - (at every few points) so it is after a start from the files.
//
// Limits: one process against a quiet rest; the live sweep (server_live_sweep) has the others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace warren::test {

enum class Effect : uint8_t {
  kWhole,    // all or nothing
  kEachKey,  // each key for itself: operations of several independent steps
  kNone,     // changes no key
};

struct Operation {
  std::string name;
  std::function<void()> set_up = [] {};   // in slot 0, before the process of slot 1 begins
  std::function<void()> prepare = [] {};  // in the process of slot 1, not recorded
  std::function<void()> run;              // recorded
  Effect effect = Effect::kWhole;
  bool may_restart = false;
  uint32_t buffers = 96;
  // `run` is called before the process has a slot; it calls BeginRecording and EndRecording.
  bool whole_process = false;
  // The repair is done by a process monitor as it is: each death has to be told and counted once.
  bool by_monitor = false;
};

// For `run` of a whole process: from here on and up to here it is recorded.
void BeginRecording();
[[noreturn]] void EndRecording();

struct SweepOptions {
  uint64_t points = 0;  // of all, how many are looked at, chosen by `seed`; 0: all
  uint64_t seed = 1;
  uint32_t restart_every = 8;  // of those looked at, a start from the files at every so-manieth
  const char* bug = nullptr;   // the rule to break (base/seeded_bug.h), in all of it
};

struct SweepReport {
  uint64_t events = 0;  // stores, and changes of files
  uint64_t points = 0;  // at which a death was possible: one before each event, and the cuts
  uint64_t looked_at = 0;
  uint64_t with_locks = 0, taken_back = 0, finished = 0, commits_finished = 0, restarts = 0;
  char failure[2048] = {};  // empty: all is well
};

SweepReport Sweep(const Operation& operation, const SweepOptions& options);

// Points and seed as the environment says: all of them in the long form.
SweepOptions UsualOptions();

// Where the calling process of a sweep keeps its data; for operations that look at files.
const std::string& SweepDirectory();

}  // namespace warren::test

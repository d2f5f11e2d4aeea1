#include "postmaster/process_monitor.h"

#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "lwlock/repair.h"
#include "lwlock/wait_hook.h"
#include "postmaster/aux_processes.h"
#include "postmaster/death_report.h"
#include "postmaster/restart_incident.h"
#include "shmem/incident.h"
#include "shmem/latch.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit.h"
#include "storage/data_directory.h"
#include "storage/death_repair.h"
#include "storage/incident_file.h"

namespace warren {
namespace {

constexpr int64_t kIdleMs = 60'000;  // it is woken when there is work
constexpr int64_t kRetryMs = 200;    // after a step that failed: most likely the disk is full

bool IsDead(const Proc& proc) {
  return proc.life.load(std::memory_order_acquire) == ProcLife::kDead;
}

// Where the postmaster takes the slot back.
void TellPostmaster() { kill(Segment::Server().postmaster_pid.load(), SIGURG); }

// While it lives, the segment says whose remains are being cleared away.
class UnderRepair {
 public:
  explicit UnderRepair(Owner dead) : before_(Named().load()) { StoreBefore(Named(), Pack(dead)); }
  ~UnderRepair() { StoreAfter(Named(), before_); }
  UnderRepair(const UnderRepair&) = delete;
  UnderRepair& operator=(const UnderRepair&) = delete;

 private:
  static std::atomic<PackedOwner>& Named() { return Segment::Server().under_repair; }
  PackedOwner before_;  // of a phase 2 that a phase 1 has come into
};

// -- Phase 1: acquires no lock, waits for nothing.

constexpr int64_t kLookWhileWaitingNs = 5'000'000;

// Before anything is repaired: what it held is known from its slot alone. It may have been told
// already, by a monitor that was killed before it had freed the slot.
IncidentRow* NoteDeath(SlotIndex slot) noexcept {
  const Proc& proc = Segment::Procs()[slot];
  const PackedOwner dead = Pack({slot, proc.generation.load()});
  IncidentRow* const begun = Incidents::Find(dead);
  if (begun != nullptr) return begun;
  FAULT_POINT(kIncidentOpen);
  return Incidents::Open(dead, ExamineDeath(slot, proc.wait_status.load()));
}

// Adds the part that `fill` knows, unless it is there already.
template <typename Fill>
void AddPart(IncidentRow* row, IncidentPart part, Fill fill) {
  if (row == nullptr || Incidents::Has(*row, part)) return;
  Incident incident = Incidents::Read(*row);
  fill(incident);
  Incidents::Add(*row, part, incident);
}

void RepairInPlace(SlotIndex slot) noexcept {
  if (const std::optional<std::string> why = WhyNotRepairable(slot); why.has_value()) {
    log::Error("slot {}: {}", slot, *why);
    _exit(kCannotRepair);
  }
  IncidentRow* const row = NoteDeath(slot);
  // Before they are woken: then nobody knows any more.
  AddPart(row, IncidentPart::kLwlockWaits,
          [slot](Incident& incident) { NoteLwlockWaits(slot, &incident); });
  (void)RepairDead(slot);
  AddPart(row, IncidentPart::kLocksFree, [](Incident& incident) {
    incident.lwlocks_free_us = SinceReapedUs(incident);
    incident.EndLwlockWaits(MonotonicUs());
  });
}

void RepairAllInPlace() noexcept {
  const ProcArray procs = Segment::Procs();
  for (SlotIndex slot = 0; slot < procs.size(); ++slot) {
    if (!IsDead(procs[slot])) continue;
    const UnderRepair named({slot, procs[slot].generation.load()});
    RepairInPlace(slot);
  }
}

// Nothing: the next CONFIG SET overwrites a request that has lost its sender, a configuration file
// is replaced as a whole, and a reset of the statistics may end half way.
void RepairSettingsLock(LWLock&) noexcept {}

// -- Phase 2.

// In this order: while some of the commit's changes are not made yet, its locks keep everybody from
// seeing the others. What it has locked, and who waits for that, is noted while it is still there.
Status ClearAway(Owner dead, IncidentRow* row) {
  RETURN_IF_FAULT(kRepairCommit);
  RETURN_IF_ERROR(FinishCommit(dead));
  FAULT_POINT(kRepairDrop);
  AddPart(row, IncidentPart::kLockTable,
          [dead](Incident& incident) { NoteLocks(LockTable::LocksOf(dead), &incident); });
  LockTable::DropOwner(dead);
  AddPart(row, IncidentPart::kEnd, [](Incident& incident) {
    incident.EndLockWaits(MonotonicUs());
    incident.locks_free_us = incident.cleared_us = SinceReapedUs(incident);
    incident.outcome.Set(kRepairedInPlace);
  });
  return {};
}

// Was it in the middle of something? Its slot says nothing of that any more.
bool WasInTheMiddle(const IncidentRow* row) {
  if (row == nullptr) return false;
  const Incident incident = Incidents::Read(*row);
  return incident.lwlock_count > 0 || incident.change.Get() != "none";
}

// Counts it once, whoever is killed in between: first what was counted before is noted under the
// dead one's generation, then one more than that is stored, which may be done again. In the dead
// one's own block, which nobody else writes to.
void CountRepair(Owner dead, bool in_the_middle) {
  Proc& proc = Segment::Procs()[dead.slot];
  if (proc.counted_generation.load() != dead.generation) {
    proc.repairs_before.store(Stats::Of(dead.slot, StatId::kRepairs));
    proc.repairs_in_place_before.store(Stats::Of(dead.slot, StatId::kRepairsInPlace));
    StoreBetween(proc.counted_generation, dead.generation);
  }
  Stats::SetOf(dead.slot, StatId::kRepairs, proc.repairs_before.load() + 1);
  if (!in_the_middle) return;
  Stats::SetOf(dead.slot, StatId::kRepairsInPlace, proc.repairs_in_place_before.load() + 1);
}

class ProcessMonitor {
 public:
  // Returns how long to sleep. Ends early when woken: the newly dead one's phase 1 comes first.
  int64_t Round() {
    const ProcArray procs = Segment::Procs();
    if (!AnyDead()) return kIdleMs;
    RepairAllInPlace();
    bool failed = false, freed = false;
    for (SlotIndex slot = 0; slot < procs.size() && !Latch::Pending(); ++slot) {
      if (!IsDead(procs[slot])) continue;
      (Repair(slot) ? freed : failed) = true;
    }
    if (freed) TellPostmaster();
    return failed ? kRetryMs : 0;
  }

 private:
  static bool AnyDead() {
    for (const Proc& proc : Segment::Procs().slots()) {
      if (IsDead(proc)) return true;
    }
    return false;
  }

  // False: it has to be tried again.
  bool Repair(SlotIndex slot) {
    Proc& proc = Segment::Procs()[slot];
    const Owner dead{slot, proc.generation.load()};
    const UnderRepair named(dead);
    IncidentRow* const row = NoteDeath(slot);
    const Status status = ClearAway(dead, row);
    if (status.ok()) {
      if (row != nullptr) Record(*row);
      CountRepair(dead, WasInTheMiddle(row));
      FAULT_POINT(kRepairFree);
      FreeSlot(proc);
    }
    ReportFailure(slot, status);
    return status.ok();
  }

  // Before the slot is free: a successor of a monitor that is killed here finds both and writes the
  // line once more, which then counts once; killed after the last line, it finds that it is told.
  void Record(IncidentRow& row) {
    if (Incidents::Has(row, IncidentPart::kTold)) return;
    const NumberedIncident incident{row.id.load(), Incidents::Read(row)};
    FAULT_POINT(kIncidentWrite);
    Status written = AppendIncident(DataDirectory::Path(), incident);
    if (written.ok()) written = KeepIncidentFileSmall(DataDirectory::Path());
    if (!written.ok() && written.error().message != file_failure_) {
      file_failure_ = written.error().message;
      log::Warning("{}", file_failure_);
    }
    log::Notice("incident {}: {}", incident.id, DescribeIncident(incident.incident));
    Incidents::Close(row);
  }

  static void FreeSlot(Proc& proc) {
    proc.pid.store(0);
    // It follows no link any more.
    proc.op_start.store(0);
    // The last store of the repair: from here on the slot is the postmaster's to give out.
    StoreAfter(proc.life, ProcLife::kFree);
  }

  // A full disk would fail every round: it is logged when it begins and when it has ended.
  void ReportFailure(SlotIndex slot, const Status& status) {
    const std::string message = status.ok() ? std::string() : status.error().message;
    std::string& failure = failures_[slot];
    if (!message.empty() && message != failure) {
      log::Error("slot {} cannot be cleared yet, what its process had locked stays locked: {}",
                 slot, message);
    }
    if (message.empty() && !failure.empty()) log::Notice("slot {} is cleared", slot);
    failure = message;
  }

  // By slot: why its last repair failed.
  std::vector<std::string> failures_ = std::vector<std::string>(Segment::Procs().size());
  std::string file_failure_;  // of the incidents' file, logged once
};

}  // namespace

void RegisterAllRepairs() {
  RegisterRepair(TrancheId::kSettings, RepairSettingsLock);
  RegisterLockTableRepairs();
  RegisterStorageRepairs();
}

int ProcessMonitorMain() {
  RegisterAllRepairs();
  g_wait_hook = {.run = RepairAllInPlace, .every_ns = kLookWhileWaitingNs};
  RestartIncidents::TakeOver(DataDirectory::Path());
  ProcessMonitor monitor;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    const int64_t sleep_ms = monitor.Round();
    if (sleep_ms > 0) Latch::Wait(sleep_ms);
  }
  return IsClosingTime() ? 0 : kEndedEarly;
}

}  // namespace warren

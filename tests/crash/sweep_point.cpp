#include "tests/crash/sweep_point.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <vector>

#include "backend/command.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "lwlock/futex.h"
#include "lwlock/repair.h"
#include "postmaster/process_monitor.h"
#include "shmem/buffer_cache.h"
#include "shmem/buffer_pool.h"
#include "shmem/incident.h"
#include "shmem/latch.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit.h"
#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/death_repair.h"
#include "storage/mini_transaction.h"
#include "storage/page.h"
#include "storage/segment_check.h"
#include "storage/store.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "storage/wal_segments.h"

namespace warren::test {
namespace {

// -- What the child sees of its own calls.

struct Witness {
  std::string directory;
  TouchLog* touched = nullptr;
  std::set<const void*> woken;  // futexes
  std::set<int> signalled;      // processes
};
Witness g_witness;

bool IsFileCall(CallKind kind) {
  return kind == CallKind::kCreate || kind == CallKind::kWrite || kind == CallKind::kAllocate ||
         kind == CallKind::kTruncate || kind == CallKind::kRename || kind == CallKind::kUnlink;
}

void NoteFileCall(const Call& call) {
  const std::string path = call.path != nullptr ? call.path : PathOfDescriptor(call.fd);
  if (!path.starts_with(g_witness.directory)) return;
  const bool whole = call.path != nullptr || call.offset == kAppend;
  const bool cut = call.kind == CallKind::kTruncate;
  g_witness.touched->Add(path, cut ? 0 : call.offset, whole || cut ? 0 : call.bytes);
  if (call.to_path != nullptr) g_witness.touched->Add(call.to_path, 0, 0);
}

void SeeCall(const Call& call) {
  if (call.kind == CallKind::kWake) g_witness.woken.insert(call.data);
  if (call.kind == CallKind::kSignal) g_witness.signalled.insert(call.fd);
  if (IsFileCall(call.kind)) NoteFileCall(call);
}

// -- The first thing that is wrong.

class Verdict {
 public:
  explicit Verdict(char (&text)[1024]) : text_(text) {}
  bool failed() const { return text_[0] != 0; }
  void Expect(bool right, std::string_view what) {
    if (right || failed()) return;
    const size_t bytes = std::min(what.size(), sizeof text_ - 1);
    std::memcpy(text_, what.data(), bytes);
    text_[bytes] = 0;
  }
  void Expect(const Status& status, std::string_view who) {
    if (!status.ok()) Expect(false, fmt::format("{}: {}", who, status.error().message));
  }

 private:
  char (&text_)[1024];
};

LockProc& DeadLocks() { return Segment::Procs()[kDeadSlot].locks; }

std::set<LWLock*> LocksInHand() {
  std::set<LWLock*> locks;
  for (const auto& held : DeadLocks().held) {
    if (held.load() != 0) locks.insert(LockOf(held.load()));
  }
  if (LWLock* pending = DeadLocks().pending_lock.load(); pending != nullptr) locks.insert(pending);
  return locks;
}

void CheckLocks(const PointCase& point, const std::set<LWLock*>& in_hand, Verdict& verdict) {
  for (const LWLock* lock : point.locks) {
    const uint64_t bit = uint64_t{1} << (kDeadSlot % kSlotsPerReaderWord);
    const bool reads = (lock->readers()[kDeadSlot / kSlotsPerReaderWord].load() & bit) != 0;
    verdict.Expect(!reads && (lock->word.load() & LWLock::kOwnerMask) != kDeadSlot + 1,
                   fmt::format("lwlock {} {} is still the dead one's",
                               GetTranche(lock->tranche).name, lock->instance));
  }
  for (const LWLock* lock : in_hand) {
    verdict.Expect(g_witness.woken.contains(FutexWord(lock->wake_ups)),
                   fmt::format("nobody is woken who may wait for lwlock {} {}",
                               GetTranche(lock->tranche).name, lock->instance));
  }
  verdict.Expect(g_witness.woken.contains(FutexWord(Segment::Wal().flush_round)),
                 "nobody is woken who may wait for the log to be flushed");
}

void CheckPhaseOne(Verdict& verdict) {
  verdict.Expect(LocksInHand().empty(), "a lock is held or pending after phase 1");
  verdict.Expect(MiniTransactionAreaOf(kDeadSlot).armed.load() == 0, "a change is still armed");
}

void CheckReserves(Verdict& verdict) {
  uint64_t log_bytes = 0;
  for (const SlotReserve& reserve : Segment::Reserves()) log_bytes += reserve.log_bytes.load();
  const SlotReserve& dead = Segment::Reserves()[kDeadSlot];
  verdict.Expect(dead.pages.load() == 0 && dead.log_bytes.load() == 0, "a reserve is left");
  verdict.Expect(log_bytes == Segment::Wal().reserved_bytes.load(),
                 fmt::format("{} bytes of log are kept, of which the slots know {}",
                             Segment::Wal().reserved_bytes.load(), log_bytes));
}

void CheckLeftovers(Verdict& verdict) {
  const Proc& dead = Segment::Procs()[kDeadSlot];
  verdict.Expect(dead.commit_lsn.load() == 0, "a commit is left");
  CheckReserves(verdict);
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    verdict.Expect(ReadCommitStamp(database).settled(),
                   fmt::format("a commit seems under way in database {}", database));
  }
  for (const LockTable::Info& lock : LockTable::Snapshot()) {
    verdict.Expect(lock.owner.slot != kDeadSlot, fmt::format("lock {} is left", lock.name));
  }
}

// Whoever says in its slot that it has ended is not repaired.
void CheckEnded(Verdict& verdict) {
  CheckPhaseOne(verdict);
  CheckLeftovers(verdict);
}

// A waiter that nothing keeps from its lock any more has it, and was told.
void CheckWaiters(const PointCase& point, Verdict& verdict) {
  for (const LockTable::Info& lock : LockTable::Snapshot()) {
    if (lock.owner.slot == 0) continue;
    const int pid = Segment::Procs()[lock.owner.slot].pid.load();
    const bool told = g_witness.signalled.contains(pid) ||
                      std::ranges::find(point.signalled, pid) != point.signalled.end();
    verdict.Expect(lock.wanted == TxLockMode::kNone || !lock.blockers.empty(),
                   fmt::format("slot {} waits for a free lock", lock.owner.slot));
    verdict.Expect(lock.wanted != TxLockMode::kNone || told,
                   fmt::format("slot {} has got its lock and was not told", lock.owner.slot));
  }
}

// A clean buffer is what the file has, but for the checksum.
void CheckCleanPages(Verdict& verdict) {
  alignas(8) static std::byte page[kPageBytes];
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    const BufferState state = g_buffer_pool.descriptors[buffer].Load();
    // Beyond the end lie those of a cut that is not made yet.
    const bool in_file = state.in_use() && state.page_no() < DataFile::Get().page_count();
    if (!in_file || !state.valid() || state.dirty()) continue;
    verdict.Expect(DataFile::Get().ReadPage(state.page_no(), PageBytes(page, kPageBytes)), "file");
    constexpr size_t kBehindChecksum = offsetof(PageHeader, checksum) + sizeof(uint64_t);
    const bool same =
        std::memcmp(page, g_buffer_pool.Page(buffer), offsetof(PageHeader, checksum)) == 0 &&
        std::memcmp(page + kBehindChecksum, g_buffer_pool.Page(buffer) + kBehindChecksum,
                    kPageBytes - kBehindChecksum) == 0;
    verdict.Expect(same, fmt::format("page {} is clean, and not as in the file", state.page_no()));
  }
}

// At rest.
void CheckLog(Verdict& verdict) {
  const WalState& wal = Segment::Wal();
  verdict.Expect(wal.write.load() == wal.flush.load(), "bytes are counted as written, not durable");
  verdict.Expect(wal.insert.load() <= wal.allocated_end.load(), "the log ends beyond its segments");
}

void CheckInvariants(Verdict& verdict) {
  CheckCleanPages(verdict);
  CheckLog(verdict);
  for (const SegmentCheck& structure : SegmentChecks()) {
    if (structure.check != nullptr) verdict.Expect(structure.check(), structure.structure);
  }
  verdict.Expect(Store::Check(), "store");
}

// Each key as before or as after the operation.
bool EachKeyFits(const PointCase& point, const Content& now) {
  const auto is_in = [](const Content& content, const auto& pair) {
    const auto found = content.find(pair.first);
    return found != content.end() && found->second == pair.second;
  };
  const bool nothing_else = std::ranges::all_of(
      now, [&](const auto& pair) { return is_in(point.before, pair) || is_in(point.after, pair); });
  return nothing_else && std::ranges::all_of(point.before, [&](const auto& pair) {
           return !point.after.contains(pair.first) || now.contains(pair.first);
         });
}

// The first key that is not as in `expected`.
std::string FindDifference(const Content& expected, const Content& now) {
  for (const auto& [key, value] : expected) {
    const auto found = now.find(key);
    if (found == now.end()) return fmt::format("{} is missing", key.substr(0, 40));
    if (found->second != value) return fmt::format("{} is another", key.substr(0, 40));
  }
  return now.size() == expected.size() ? "" : "there are keys too many";
}

// `seen` is the content at an earlier look, or empty.
Seen CheckContent(const PointCase& point, Verdict& verdict, std::string_view when, Content* seen) {
  const Content now = ReadContent();
  if (seen->empty()) *seen = now;
  verdict.Expect(*seen == now,
                 fmt::format("{}: {}, unlike after the repair", when, FindDifference(*seen, now)));
  if (now == point.after && now != point.before) return Seen::kAfter;
  if (now == point.before) return Seen::kBefore;
  const bool fits = point.operation->effect == Effect::kEachKey && EachKeyFits(point, now);
  verdict.Expect(
      fits, fmt::format("{}: neither all nor nothing: as before, but {}, as after, but {}", when,
                        FindDifference(point.before, now), FindDifference(point.after, now)));
  return Seen::kMixture;
}

void MakeFileFollow(Verdict& verdict) {
  const ExclusiveLock lock(Segment::DataFileLock());
  verdict.Expect(FinishCut(), "the file can't be cut");
  verdict.Expect(Segment::Wal().data_file_cut.load() == FileCut::kNone, "a cut is left");
}

// The work of a process.
void ChangeKeysAndLock(Verdict& verdict) {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    for (const bool put : {true, false}) {
      const auto done = Store::Modify(
          database, "somebody else's key", 1, NeedValue::kNo, [&](const Current&, uint64_t) {
            return put ? Change{Change::kPut, "value", 0} : Change{Change::kErase, {}, 0};
          });
      verdict.Expect(done.ok(), done.ok() ? "" : done.error().message);
    }
    const bool others = std::ranges::any_of(LockTable::Snapshot(), [](const auto& lock) {
      return lock.owner.slot != ProcArray::SelfOwner().slot;
    });
    if (others) continue;
    const auto locked =
        LockTable::TryLock(DatabaseTag(database), TxLockMode::kX, LockScope::kTransaction);
    verdict.Expect(locked.ok() && *locked, "a database cannot be locked");
  }
  LockTable::ReleaseAll(LockScope::kTransaction);
  verdict.Expect(Wal::FlushAll(), "flush");
}

// The next process in the slot, until it ends in order.
void UseSlotAgain(Verdict& verdict) {
  Proc& proc = Segment::Procs()[kDeadSlot];
  verdict.Expect(proc.life.load() == ProcLife::kFree && proc.pid.load() == 0,
                 "the slot is not free");
  if (verdict.failed()) return;
  (void)Segment::Procs().GiveOut(kDeadSlot, ProcessKind::kBackend);
  Segment::BindProcess(kDeadSlot);
  ProcArray::EnterRunning();
  ChangeKeysAndLock(verdict);
  ProcArray::EnterExited();
  CheckEnded(verdict);
  proc.life.store(ProcLife::kFree);
  Segment::BindProcess(0);
}

// Somebody else's work, in slot 0, and then in the dead one's slot.
void GoOn(Verdict& verdict) {
  MakeFileFollow(verdict);
  ChangeKeysAndLock(verdict);
  if (!verdict.failed()) UseSlotAgain(verdict);
  verdict.Expect(BufferCache::WriteAll(), "write all");
  verdict.Expect(Store::Check(), "store, when others have gone on");
}

// What a full restart does (postmaster/crash_restart.cpp), and what it finds.
void StartFromFiles(const PointCase& point, Verdict& verdict) {
  const Result<Lsn> rescued = Wal::RescueRing();
  verdict.Expect(rescued.ok(), "the ring can't be rescued");
  const uint32_t databases = Segment::Config().database_count;
  Segment::Reset();
  DataFile::Get().Close();
  (void)Segment::Procs().GiveOut(0, ProcessKind::kBackend);
  Segment::BindProcess(0);
  ProcArray::EnterRunning();
  verdict.Expect(DataDirectory::Open(point.directory, databases), "start");
  if (!verdict.failed()) verdict.Expect(DataDirectory::Recover(), "redo");
  if (!verdict.failed()) verdict.Expect(Store::Check(), "store after redo");
}

bool IsDead(SlotIndex slot) { return Segment::Procs()[slot].life.load() == ProcLife::kDead; }

// Phase 1 for those that were dead before: the operation may be a repair.
void RepairOthers() {
  for (SlotIndex slot = kDeadSlot + 1; slot < Segment::Procs().size(); ++slot) {
    if (IsDead(slot)) (void)RepairDead(slot);
  }
}

// As the process monitor's phase 2.
Status ClearAway(Owner dead) {
  RETURN_IF_ERROR(FinishCommit(dead));
  LockTable::DropOwner(dead);
  Proc& proc = Segment::Procs()[dead.slot];
  proc.pid.store(0);
  proc.op_start.store(0);
  StoreAfter(proc.life, ProcLife::kFree);
  return {};
}

void Repair(const PointCase& point, PointOutcome& outcome, Verdict& verdict) {
  const std::set<LWLock*> in_hand = LocksInHand();
  // Phase 1 of all before any phase 2.
  RepairOthers();
  const DeathRepair done = RepairDead(kDeadSlot);
  outcome.with_locks = done.held_locks;
  outcome.taken_back = done.change == ChangeRepair::kTakenBack;
  outcome.finished = done.change == ChangeRepair::kFinished;
  CheckLocks(point, in_hand, verdict);
  CheckPhaseOne(verdict);
  if (verdict.failed()) return;
  Proc& dead = Segment::Procs()[kDeadSlot];
  outcome.commit_finished = dead.commit_lsn.load() != 0 && dead.commit_end.load() != 0;
  const Owner owner{kDeadSlot, dead.generation.load()};
  verdict.Expect(ClearAway(owner), "the commit can't be finished");
  for (SlotIndex slot = kDeadSlot + 1; slot < Segment::Procs().size(); ++slot) {
    const Owner other{slot, Segment::Procs()[slot].generation.load()};
    if (IsDead(slot)) verdict.Expect(ClearAway(other), "another's commit can't be finished");
  }
  CheckLeftovers(verdict);
}

// -- By a process monitor as it is.

constexpr SlotIndex kMonitorSlot = 3;

std::vector<Owner> DeadOnes() {
  std::vector<Owner> dead;
  for (SlotIndex slot = 0; slot < Segment::Procs().size(); ++slot) {
    if (IsDead(slot)) dead.push_back({slot, Segment::Procs()[slot].generation.load()});
  }
  return dead;
}

// Told to end when it is about to free the last slot.
Status EndAfterLast(FaultPoint, void*) {
  if (DeadOnes().size() == 1) raise(SIGTERM);
  return {};
}

void RunMonitor() {
  (void)Segment::Procs().GiveOut(kMonitorSlot, ProcessKind::kProcessMonitor);
  Segment::BindProcess(kMonitorSlot);
  Latch::InstallHandlers();
  ProcArray::EnterRunning();
  SetFaultAction(FaultPoint::kRepairFree, EndAfterLast);
  (void)ProcessMonitorMain();
  ClearFaultActions();
  Segment::Procs()[kMonitorSlot].life.store(ProcLife::kFree);
  Segment::BindProcess(0);
}

size_t TimesTold(Owner dead) {
  const std::vector<NumberedIncident> all = Incidents::Newest(IncidentRing::kRows);
  return static_cast<size_t>(std::ranges::count_if(all, [&](const NumberedIncident& one) {
    return one.incident.slot == dead.slot && one.incident.generation == dead.generation;
  }));
}

// In such an operation kOtherSlot's process was dead before it began.
void RepairByMonitor(bool anybody, Verdict& verdict) {
  std::vector<Owner> dead = DeadOnes();
  if (!dead.empty()) RunMonitor();
  verdict.Expect(DeadOnes().empty(), "a dead one is left");
  dead = {{kOtherSlot, Segment::Procs()[kOtherSlot].generation.load()}};
  if (anybody) dead.push_back({kDeadSlot, Segment::Procs()[kDeadSlot].generation.load()});
  const uint64_t counted = Stats::ReadSinceStart(StatId::kRepairs);
  verdict.Expect(counted == dead.size(), fmt::format("{} deaths are counted", counted));
  for (const Owner one : dead) {
    const size_t times = TimesTold(one);
    verdict.Expect(times == 1, fmt::format("slot {}'s death is told {} times", one.slot, times));
  }
  CheckLeftovers(verdict);
}

}  // namespace

namespace {
void NoteTouches(const std::string& directory, TouchLog* touched) {
  g_witness = {.directory = directory, .touched = touched, .woken = {}, .signalled = {}};
  SetEventWatcher({.before_call = SeeCall, .skip_syncs = true});
  // Those that were open when the parent set everything up may have another name by now.
  WalSegments::Bind(DataDirectory::WalPath(directory));
}
}  // namespace

void BeginReading(const std::string& directory, TouchLog* touched) {
  NoteTouches(directory, touched);
  RepairOthers();
  for (SlotIndex slot = kDeadSlot + 1; slot < Segment::Procs().size(); ++slot) {
    const Owner other{slot, Segment::Procs()[slot].generation.load()};
    if (IsDead(slot) && !ClearAway(other).ok()) std::abort();
  }
}

Content ReadContent() {
  Content content;
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    const Status status = Store::Scan(
        database, {}, 1, NeedValue::kYes, [&](std::string_view key, const Current& current) {
          content.emplace(fmt::format("{}:{}", database, key),
                          fmt::format("{}:{}", current.expire_at_ms, current.value));
          return true;
        });
    if (!status.ok()) content.emplace(fmt::format("{}", database), status.error().message);
  }
  return content;
}

void LookAtPoint(const PointCase& point, PointOutcome& outcome) {
  NoteTouches(point.directory, &outcome.touched);
  Verdict verdict(outcome.failure);
  const ProcLife life = Segment::Procs()[kDeadSlot].life.load();
  // The last store of giving a slot out has not been made: there is no process yet that could die.
  const bool anybody = life != ProcLife::kFree;
  if (life == ProcLife::kExited) CheckEnded(verdict);
  if (anybody) Segment::Procs()[kDeadSlot].life.store(ProcLife::kDead);
  if (const auto why = WhyNotRepairable(kDeadSlot); why.has_value()) {
    outcome.restarted = true;
    verdict.Expect(point.operation->may_restart, *why);
    StartFromFiles(point, verdict);
    Content seen;
    if (!verdict.failed()) outcome.seen = CheckContent(point, verdict, "after redo", &seen);
    return;
  }
  if (point.operation->by_monitor) {
    RepairByMonitor(anybody, verdict);
  } else if (anybody) {
    Repair(point, outcome, verdict);
  }
  if (verdict.failed()) return;
  CheckInvariants(verdict);
  CheckWaiters(point, verdict);
  Content seen;
  outcome.seen = CheckContent(point, verdict, "after the repair", &seen);
  if (!verdict.failed()) GoOn(verdict);
  if (!verdict.failed()) CheckContent(point, verdict, "when others have gone on", &seen);
  if (verdict.failed() || !point.restart) return;
  StartFromFiles(point, verdict);
  if (!verdict.failed()) CheckContent(point, verdict, "after a start from the files", &seen);
}

}  // namespace warren::test

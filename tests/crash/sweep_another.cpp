#include "tests/crash/sweep_another.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/ordered_store.h"
#include "shmem/segment.h"
#include "storage/commit.h"
#include "storage/death_repair.h"
#include "tests/crash/sweep_point.h"
#include "tests/support/lock_table_world.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

Status DieHere(FaultPoint, void* passes) {
  if ((*static_cast<int*>(passes))-- == 0) kill(getpid(), SIGKILL);
  return {};
}

}  // namespace

std::string KeyNo(int i) { return fmt::format("key{:05}", i); }
std::string Filled(size_t bytes, char with) { return std::string(bytes, with); }

void Fill(int count, uint32_t database) {
  for (int i = 0; i < count; ++i) Put(KeyNo(i), Filled(kHalfLeaf, 'f'), database);
}

void CommitSeveral() {
  const std::string large = Filled(9000, 'c');
  const CommitOp ops[] = {
      {.kind = CommitOp::kPut, .key = KeyNo(1), .value = "new"},
      {.kind = CommitOp::kErase, .key = KeyNo(2)},
      {.kind = CommitOp::kPut, .key = KeyNo(3), .value = large},
  };
  for (const CommitOp& op : ops) {
    (void)TryLocked(KeyTag(0, op.key), TxLockMode::kX);
  }
  MustSucceed(CommitChanges(ops, 1));
}

void StopAnotherIn(const std::function<void()>& body, const std::function<bool()>& sleeps) {
  const pid_t other = fork();
  if (other == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    LockTableWorld::BecomeChild(kOtherSlot);
    body();
    _exit(0);
  }
  if (!WaitFor(sleeps)) std::abort();
  kill(other, SIGSTOP);
  int status = 0;
  if (waitpid(other, &status, WUNTRACED) != other || !WIFSTOPPED(status)) std::abort();
}

void WaitForLock(const LockTag& tag) {
  StopAnotherIn(
      [&] { (void)LockTable::Lock(tag, TxLockMode::kX, LockScope::kTransaction, Patient()); },
      [] { return WaitingCount(kOtherSlot) == 1; });
}

void LetDieAt(SlotIndex slot, FaultPoint point, int passes, const std::function<void()>& body) {
  const pid_t other = fork();
  if (other == 0) {
    StoreWorld::BecomeProcess(slot);
    SetFaultAction(point, DieHere, &passes);
    body();
    _exit(0);
  }
  int status = 0;
  if (waitpid(other, &status, 0) != other || !WIFSIGNALED(status)) std::abort();
  Segment::Procs()[slot].life.store(ProcLife::kDead);
}

void RepairSlot(SlotIndex slot) {
  Proc& proc = Segment::Procs()[slot];
  const Owner dead{slot, proc.generation.load()};
  (void)RepairDead(slot);
  MustSucceed(FinishCommit(dead));
  LockTable::DropOwner(dead);
  proc.pid.store(0);
  proc.op_start.store(0);
  StoreAfter(proc.life, ProcLife::kFree);
}

}  // namespace warren::test

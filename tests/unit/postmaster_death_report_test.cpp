// Is what a dead process held, and who waited for it, read from its slot as it was?
#include "postmaster/death_report.h"

#include <doctest/doctest.h>

#include <csignal>
#include <string>

#include "lwlock/lwlock.h"
#include "postmaster/crash_policy.h"
#include "shmem/segment.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {
namespace {

void BecomeBackend(SlotIndex slot, uint64_t client_id) {
  Segment::BindProcess(slot);
  Proc& proc = ProcArray::Self();
  proc.kind.store(ProcessKind::kBackend);
  proc.client.client_id.store(client_id);
  proc.client.last_command.Set("set");
  ProcArray::EnterRunning();
}

int KilledBy(int signal) { return signal; }

}  // namespace

TEST_CASE("a dead process's report names its locks and who waits for them") {
  const SegmentWorld world;
  LWLock& lock = Segment::WalSegmentLock();
  Child holder([&] {
    BecomeBackend(1, 11);
    AcquireExclusive(lock);
    std::raise(SIGKILL);
    ReleaseExclusive(lock);
    return false;
  });
  CHECK_FALSE(holder.Succeeded());
  Child waiter([&] {
    BecomeBackend(2, 22);
    AcquireShared(lock);  // for ever
    ReleaseShared(lock);
    return true;
  });
  REQUIRE(WaitFor([] { return Segment::Procs()[2].locks.wait_event.load() != 0; }));
  REQUIRE(waiter.WaitUntilAsleep());

  Incident incident = ExamineDeath(1, KilledBy(SIGKILL));
  CHECK(incident.process.Get() == "backend");
  CHECK(incident.client_id == 11);
  CHECK(incident.command.Get() == "set");
  CHECK(incident.death.Get() == "killed by signal 9 (SIGKILL)");
  CHECK(incident.lwlock_count == 1);
  CHECK(incident.lwlocks.Get() == "wal_segment 0 exclusive");
  CHECK(incident.change.Get() == "none");
  NoteLwlockWaits(1, &incident);
  REQUIRE(incident.lwlock_waiters == 1);
  const IncidentWaiter& listed = incident.waiters[0];
  CHECK(listed.client_id == 22);
  CHECK(listed.slot == 2);
  CHECK(listed.lock.Get() == "wal_segment 0");
  CHECK(listed.began_us > 0);
  NoteLwlockWaits(2, &incident);
  CHECK(incident.lwlock_waiters == 0);  // it has nothing that anybody wants
  waiter.Kill();
}

TEST_CASE("what a wild process has stored into its slot is not followed") {
  const SegmentWorld world;
  LockProc& locks = Segment::Procs()[1].locks;
  for (const uintptr_t wild :
       {uintptr_t{0x10}, ~uintptr_t{0} - 64, reinterpret_cast<uintptr_t>(&locks) + 8}) {
    locks.held[3].store(wild);
    CHECK_FALSE(LocksMakeSense(1));
    CHECK(ExamineDeath(1, KilledBy(SIGSEGV)).lwlock_count == 0);
    CHECK(DescribeHoldings(1) == "its slot makes no sense");
  }
  locks.held[3].store(MakeHeldLock(&Segment::WalInsertLock(), LockMode::kShared));
  CHECK(LocksMakeSense(1));
  CHECK(DescribeHoldings(1) == "holding wal_insert 0 shared");
}

}  // namespace warren::test

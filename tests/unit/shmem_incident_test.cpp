// Is the record of a death there or not, whatever its writer is killed at?
#include "shmem/incident.h"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "tests/support/segment_world.h"

namespace warren::test {
namespace {

Incident Death(int64_t pid) {
  Incident incident;
  incident.pid = pid;
  incident.process.Set("backend");
  incident.lwlocks.Set("buffer_content 17 exclusive");
  incident.outcome.Set(kUnderRepair);
  incident.locks_free_us = incident.cleared_us = incident.running_us = -1;
  return incident;
}

PackedOwner Dead(uint32_t slot) { return Pack({slot, 1}); }

}  // namespace

TEST_CASE("the newest incidents come first, and the ring keeps the last ones") {
  const SegmentWorld world;
  constexpr int64_t kAll = 2 * IncidentRing::kRows + 7;
  for (int64_t i = 1; i <= kAll; ++i) CHECK(Incidents::Put(Death(i)) == static_cast<uint64_t>(i));
  const auto newest = Incidents::Newest(kAll);
  REQUIRE(newest.size() == IncidentRing::kRows);
  for (size_t i = 0; i < newest.size(); ++i) {
    CHECK(newest[i].incident.pid == kAll - static_cast<int64_t>(i));
    CHECK(newest[i].id == static_cast<uint64_t>(newest[i].incident.pid));
  }
  CHECK(Incidents::Newest(3).size() == 3);
}

TEST_CASE("an open incident tells what is known, and is not overwritten by later ones") {
  const SegmentWorld world;
  IncidentRow* const row = Incidents::Open(Dead(5), Death(1));
  REQUIRE(row != nullptr);
  CHECK(Incidents::Find(Dead(5)) == row);
  CHECK(Incidents::Find(Dead(6)) == nullptr);
  for (int64_t i = 2; i < 1000; ++i) Incidents::Put(Death(i));
  REQUIRE(Incidents::Find(Dead(5)) == row);

  Incident incident = Incidents::Read(*row);
  incident.lwlocks_free_us = 42;
  IncidentWaiter waiter{.pid = 77, .waited_us = 50};
  incident.AddLwlockWaiter(waiter);
  // What a monitor that is killed before the last store leaves: half written, not told.
  incident.lock_count = 9;
  Incidents::Add(*row, IncidentPart::kLocksFree, incident);
  auto open = Incidents::AllOpen();
  REQUIRE(open.size() == 1);
  CHECK(open[0].incident.lwlocks_free_us == 42);
  CHECK(open[0].incident.lwlock_waiters == 1);
  CHECK(open[0].incident.waiters[0].pid == 77);
  CHECK(open[0].incident.lock_count == 0);
  CHECK(open[0].incident.outcome.Get() == kUnderRepair);

  incident.outcome.Set(kRepairedInPlace);
  Incidents::Add(*row, IncidentPart::kLockTable, incident);
  Incidents::Add(*row, IncidentPart::kEnd, incident);
  Incidents::Close(*row);
  CHECK(Incidents::AllOpen().empty());
  // As long as its slot is not free, a successor of the one who has told it has to find it.
  CHECK(Incidents::Find(Dead(5)) == row);
  CHECK_FALSE(Incidents::IsOpen(*row));
}

TEST_CASE("more deaths at once than rows are noted as rows become free") {
  const SegmentWorld world;
  IncidentRow* last = nullptr;
  for (uint32_t i = 0; i < IncidentRing::kRows; ++i) {
    last = Incidents::Open(Dead(i), Death(i + 1));
    REQUIRE(last != nullptr);
  }
  CHECK(Incidents::Open(Dead(999), Death(999)) == nullptr);
  CHECK(Incidents::Put(Death(998)) == 0);
  Incidents::Close(*last);
  CHECK(Incidents::Open(Dead(999), Death(999)) == last);
}

TEST_CASE("a reset forgets what was there and nothing that comes later") {
  const SegmentWorld world;
  for (int64_t i = 1; i <= 5; ++i) Incidents::Put(Death(i));
  CHECK(Incidents::Reset() == 5);
  CHECK(Incidents::Newest(100).empty());
  Incidents::Put(Death(6));
  REQUIRE(Incidents::Newest(100).size() == 1);
  CHECK(Incidents::Newest(100)[0].incident.pid == 6);
}

TEST_CASE("a reader never sees half of two incidents while one writer fills the ring") {
  const SegmentWorld world;
  const pid_t writer = fork();
  REQUIRE(writer >= 0);
  if (writer == 0) {
    for (int64_t i = 1;; ++i) {
      Incident incident = Death(i);
      incident.reason.Set(std::to_string(i));
      incident.longest_lock_wait_us = i;
      Incidents::Put(incident);
    }
  }
  size_t seen = 0;
  while (seen < 20'000) {
    for (const NumberedIncident& incident : Incidents::Newest(1000)) {
      ++seen;
      const bool whole = incident.incident.pid == static_cast<int64_t>(incident.id) &&
                         incident.incident.longest_lock_wait_us == incident.incident.pid &&
                         incident.incident.reason.Get() == std::to_string(incident.incident.pid);
      if (!whole) FAIL_CHECK("incident " << incident.id);
    }
  }
  kill(writer, SIGKILL);
  waitpid(writer, nullptr, 0);
}

}  // namespace warren::test

// Are those who sleep for the log's flush woken when the one that was to wake them, or to flush for
// them, dies?
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/crash/storage_repair_world.h"

namespace warren::test {
namespace {

// A process that changes something and waits until that is durable. What it does at a point is
// private to it.
class Writer {
 public:
  Writer(SlotIndex slot, FaultPoint point, FaultAction action, void* context)
      : slot_(slot), child_([&] {
          StoreWorld::BecomeProcess(slot);
          SetFaultAction(point, action, context);
          Put(fmt::format("writer{}", slot), "value");
          MustSucceed(Wal::FlushAll());
          StoreWorld::LeaveProcess(slot);
          return true;
        }) {}

  Child& child() { return child_; }
  bool SleepsForLog() const {
    const bool waits = WaitFor([&] {
      return Segment::Procs()[slot_].locks.wait_event.load() ==
             static_cast<uint16_t>(WaitEvent::kWalFlush);
    });
    return waits && child_.WaitUntilAsleep();
  }

 private:
  SlotIndex slot_;
  Child child_;
};

}  // namespace

TEST_CASE("those who sleep for a flush are woken if its maker dies before it does so") {
  StoreWorld store;
  SharedRegion region(4096);
  Stage& stage = *region.Allocate<Stage>(1);
  Writer victim(
      kVictimSlot, FaultPoint::kLogSync,
      [](FaultPoint, void* context) -> Status {
        static Doom doom{FaultPoint::kLogRound, 0, static_cast<Stage*>(context)};
        doom.stage->at_point = 1;
        (void)WaitFor([] { return doom.stage->go.load() != 0; });
        SetFaultAction(doom.point, WaitAndDie, &doom);
        return {};
      },
      &stage);
  REQUIRE(WaitFor([&] { return stage.at_point.load() != 0; }));
  Writer waiter(kWaiterSlot, {}, nullptr, nullptr);
  Writer second_waiter(kSecondWaiterSlot, {}, nullptr, nullptr);
  REQUIRE(waiter.SleepsForLog());
  REQUIRE(second_waiter.SleepsForLog());
  stage.go = 1;
  REQUIRE(victim.child().WasKilled());
  (void)RepairDead(kVictimSlot);
  CHECK(waiter.child().Succeeded());
  CHECK(second_waiter.child().Succeeded());
  CHECK(TimeoutsOnFreeLocks() == 0);
}

TEST_CASE("those who sleep for the log are woken if the one that was to flush it dies") {
  StoreWorld store;
  SharedRegion region(4096);
  Stage& stage = *region.Allocate<Stage>(1);
  Writer flusher(
      kWaiterSlot, FaultPoint::kLogSync,
      [](FaultPoint, void* context) -> Status {
        auto& own_stage = *static_cast<Stage*>(context);
        own_stage.at_point = 1;
        (void)WaitFor([&] { return own_stage.go.load() != 0; });
        return {};
      },
      &stage);
  REQUIRE(WaitFor([&] { return stage.at_point.load() != 0; }));
  // Both come too late for this flush. One of them is woken for the next: the first in the queue.
  Doom doom{FaultPoint::kLogWoken, 0, &stage};
  Writer victim(kVictimSlot, doom.point, WaitAndDie, &doom);
  REQUIRE(victim.SleepsForLog());
  Writer waiter(kSecondWaiterSlot, {}, nullptr, nullptr);
  REQUIRE(waiter.SleepsForLog());
  stage.go = 1;
  REQUIRE(victim.child().WasKilled());
  CHECK(flusher.child().Succeeded());
  (void)RepairDead(kVictimSlot);
  CHECK(waiter.child().Succeeded());
  CHECK(TimeoutsOnFreeLocks() == 0);
}

}  // namespace warren::test

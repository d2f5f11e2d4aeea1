// Does a sweep leave alone what is renewed under its hands?
#include <doctest/doctest.h>

#include <random>

#include "shmem/buffer_cache.h"
#include "storage/expiry.h"
#include "storage/reclaim.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int kWriters = 4;
constexpr int kKeysEach = 400;
constexpr int64_t kNowMs = 1000;
constexpr int64_t kPastMs = 999;  // written as if the time had been before
constexpr int64_t kFutureMs = 1'000'000;

std::string KeyOf(int writer, int i) { return fmt::format("k{:04}:{}", i, writer); }

// Gives the key a new expiry if it exists at kNowMs - 2, as EXPIRE would have done then.
bool Renew(const std::string& key, int64_t expire_at_ms) {
  const auto done =
      Store::Modify(0, key, kNowMs - 2, NeedValue::kNo, [&](const Current& current, uint64_t) {
        if (!current.exists) return Change{};
        return Change{Change::kSetExpiry, {}, expire_at_ms};
      });
  if (!done.ok()) MustSucceed(done.error());
  return *done == Change::kSetExpiry;
}

// Puts keys that are expired for the sweeps, renews some of them: a renewed one must stay.
bool PutAndRenew(int writer, int rounds) {
  std::mt19937 random(static_cast<uint32_t>(writer));
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < kKeysEach; ++i) {
      const std::string key = KeyOf(writer, i);
      Put(key, std::string(random() % 40 == 0 ? 9000 : 50, 'v'), 0, kPastMs);
      if (i % 2 == 0) continue;
      // The sweep may have been faster; then there is nothing to renew.
      if (!Renew(key, kFutureMs)) continue;
      if (!Get(key, 0, kNowMs).has_value()) {
        std::fprintf(stderr, "%s was renewed and removed all the same\n", key.c_str());
        return false;
      }
    }
  }
  return true;
}

bool SweepUntil(const std::atomic<int>& done) {
  while (done.load() < kWriters) {
    ExpirySweep sweep(0);
    for (bool more = true; more;) {
      const Result<bool> next = sweep.NextLeaf(kNowMs);
      if (!next.ok()) MustSucceed(next.error());
      more = *next;
    }
    (void)CollectGarbage(100);
  }
  return true;
}

}  // namespace

TEST_CASE("keys that are renewed while sweeps run stay, all others go") {
  const auto test = [](ActorForm form) {
    StoreWorld world(160);
    SharedRegion region(4096);
    auto* done = region.Allocate<std::atomic<int>>(1);
    CHECK(RunActors(form, kWriters + 1, [&](int actor) {
      StoreWorld::BecomeProcess(static_cast<SlotIndex>(actor + 1));
      bool good = true;
      if (actor < kWriters) {
        good = PutAndRenew(actor, 30);
        done->fetch_add(1);
      } else {
        good = SweepUntil(*done);
      }
      StoreWorld::LeaveProcess(static_cast<SlotIndex>(actor + 1));
      return good;
    }));
    // A key that was renewed in an earlier round was put again, expired, in the next one; whoever
    // was renewed in the last round is still there.
    {
      ExpirySweep sweep(0);
      for (Result<bool> more = true; more.ok() && *more;) more = sweep.NextLeaf(kNowMs);
    }
    CHECK(Store::KeyCount(0) == Store::ExpiresCount(0));
    CHECK(Store::KeyCount(0) <= kWriters * kKeysEach / 2);
    CHECK(NextExpiryMs(0) == (Store::KeyCount(0) == 0 ? kNeverMs : kFutureMs));
    CHECK(BufferCache::CheckInvariants().ok());
    const Status checked = Store::Check();
    CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
  };
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

}  // namespace warren::test

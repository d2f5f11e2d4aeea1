// Is what was durable there again after everything in memory is gone?
//
// A crash is made by letting the segment go without closing the store: no page that was only in the
// buffer cache and no record that was only in the log's ring is left.
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shmem/buffer_cache.h"
#include "shmem/stats.h"
#include "storage/checkpoint.h"
#include "storage/page.h"
#include "storage/reclaim.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

#include <doctest/doctest.h>

namespace warren {
namespace {

using test::Erase;
using test::Get;
using test::MustSucceed;
using test::Put;
using test::ReadDatabase;
using test::StoreWorld;

void Crash(StoreWorld& world) {
  world.Stop();
  world.Start();
}

void Checkpoint() {
  const Result<CheckpointSummary> summary = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  REQUIRE_MESSAGE(summary.ok(), summary.error().message);
}

void CheckStore(const std::map<std::string, std::string>& model) {
  CHECK(ReadDatabase() == model);
  CHECK(Store::KeyCount(0) == model.size());
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), checked.error().message);
}

TEST_CASE("what was flushed survives a crash, what was not flushed does not") {
  StoreWorld world;
  Put("kept", "1");
  MustSucceed(Wal::FlushAll());
  Put("kept", "2");
  Put("lost", "1");
  Crash(world);
  CheckStore({{"kept", "1"}});
}

TEST_CASE("a checkpoint that nothing follows is all that redo reads") {
  StoreWorld world;
  for (int i = 0; i < 2000; ++i) Put(fmt::format("key{}", i), "value");
  Checkpoint();
  const Lsn redo_point = Segment::Wal().redo_point;
  Crash(world);
  CHECK(Segment::Wal().redo_point == redo_point);
  CHECK(Store::KeyCount(0) == 2000);
  CHECK(Stats::Read(StatId::kMiniTransactions) == 0);
}

TEST_CASE("FLUSH, expiry times and counts are the same after a crash") {
  StoreWorld world;
  for (int i = 0; i < 300; ++i)
    Put(fmt::format("key{}", i), "value", 1, i % 3 == 0 ? 1'000'000 : 0);
  for (int i = 0; i < 300; ++i) Put(fmt::format("key{}", i), "value", 2);
  MustSucceed(Store::Flush(2));
  Put("after", "flush", 2);
  MustSucceed(Wal::FlushAll());
  Crash(world);
  CHECK(Store::KeyCount(1) == 300);
  CHECK(Store::ExpiresCount(1) == 100);
  CHECK(Store::KeyCount(2) == 1);
  CHECK(Get("after", 2) == "flush");
  CHECK(Get("key0", 1, 1'000'001) == std::nullopt);
  CHECK(Get("key1", 1, 1'000'001) == "value");
}

void CutFile() {
  (void)CollectGarbage(1000);
  const Result<PageNo> cut = CutFreeEnd(EndSlack::kNone);
  if (!cut.ok()) MustSucceed(cut.error());
}

// Random changes with evictions, checkpoints, cuts of the file and crashes in between; the model is
// what was flushed.
void RandomLife(uint32_t seed, int rounds, int changes_per_round) {
  INFO("seed ", seed);
  std::mt19937 random(seed);
  StoreWorld world(64);
  std::map<std::string, std::string> model;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < changes_per_round; ++i) {
      const std::string key = fmt::format("key{:05}", random() % 3000);
      const uint32_t kind = static_cast<uint32_t>(random() % 100);
      if (kind < 30) {
        CHECK(Erase(key) == (model.erase(key) != 0));
      } else {
        const size_t bytes = kind > 96 ? random() % 60000 : random() % 300;
        Put(key, model[key] = std::string(bytes, static_cast<char>('a' + random() % 26)));
      }
      if (random() % 1500 == 0) Checkpoint();
      if (random() % 500 == 0) CutFile();
    }
    if (random() % 8 == 0) {
      MustSucceed(Store::Flush(0));
      model.clear();
      if (random() % 2 == 0) CutFile();
    }
    MustSucceed(Wal::FlushAll());
    Crash(world);
    CheckStore(model);
  }
}

TEST_CASE("after any number of crashes the store is what the log says") {
  const int lives = test::FullForm() ? 40 : 4;
  for (int i = 0; i < lives; ++i) RandomLife(1000 + static_cast<uint32_t>(i), 6, 1500);
}

// The numbers of all pages that were changed after `lsn`.
std::vector<PageNo> PagesChangedAfter(Lsn lsn, const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  std::vector<PageNo> pages;
  alignas(8) std::byte page[kPageBytes];
  for (PageNo no = 0; pread(fd, page, kPageBytes, off_t{no} * kPageBytes) == kPageBytes; ++no) {
    if (HeaderOf(page).lsn > lsn) pages.push_back(no);
  }
  close(fd);
  return pages;
}

void Tear(const std::string& path, PageNo page, off_t from) {
  const int fd = open(path.c_str(), O_WRONLY);
  const std::string noise(kPageBytes - static_cast<size_t>(from), '\x5a');
  REQUIRE(pwrite(fd, noise.data(), noise.size(), off_t{page} * kPageBytes + from) ==
          static_cast<ssize_t>(noise.size()));
  close(fd);
}

TEST_CASE("pages torn by a crash are rebuilt from their images in the log") {
  StoreWorld world;
  std::map<std::string, std::string> model;
  const auto put_all = [&](const std::string& value) {
    for (int i = 0; i < 500; ++i) {
      const std::string key = fmt::format("key{:04}", i);
      Put(key, model[key] = value + std::to_string(i));
    }
  };
  put_all("first ");
  Checkpoint();
  put_all("other ");
  Put("a new key", model["a new key"] = std::string(50000, 'x'));
  MustSucceed(Wal::FlushAll());
  // As if the crash had come while the cache was being written out: each page is half there.
  MustSucceed(BufferCache::WriteAll());
  const Lsn redo_point = Segment::Wal().redo_point;
  world.Stop();
  const std::string path = world.path() + "/base/main";
  const std::vector<PageNo> torn = PagesChangedAfter(redo_point, path);
  for (const PageNo page : torn) Tear(path, page, 4096);
  CHECK(torn.size() > 10);
  world.Start();
  CheckStore(model);
}

TEST_CASE("a crash during redo is followed by a redo that starts over") {
  StoreWorld world(64);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 4000; ++i) {
    const std::string key = fmt::format("key{:05}", i * 7919 % 5000);
    Put(key, model[key] = std::string(static_cast<size_t>(i % 400), 'v'));
  }
  MustSucceed(Wal::FlushAll());
  world.Stop();
  for (int i = 0; i < (test::FullForm() ? 40 : 6); ++i) {
    test::Child child([&] {
      alarm(20);
      // Killed at a moment that grows from try to try.
      const pid_t parent = getpid();
      const pid_t killer = fork();
      if (killer == 0) {
        usleep(static_cast<useconds_t>(2000 * (i + 1)));
        kill(parent, SIGKILL);
        _exit(0);
      }
      world.Start();
      pause();
      return false;
    });
    CHECK(child.WasKilled());
  }
  world.Start();
  CheckStore(model);
}

TEST_CASE("without its first checkpoint record the log is refused by name") {
  StoreWorld world;
  Put("key", "value");
  Checkpoint();
  const Lsn redo_point = Segment::Wal().redo_point;
  world.Stop();
  const std::string segment =
      fmt::format("{}/wal/{}", world.path(), WalSegmentName(SegmentOf(redo_point)));
  REQUIRE(unlink(segment.c_str()) == 0);
  MustSucceed(Segment::Create(test::SmallSegment(64)));
  StoreWorld::BecomeProcess(0);
  MustSucceed(DataDirectory::Open(world.path(), 4));
  const Status status = DataDirectory::Recover();
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find(WalSegmentName(SegmentOf(redo_point))) != std::string::npos);
}

}  // namespace
}  // namespace warren

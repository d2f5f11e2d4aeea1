// Single moments at which a rule of the log is all that keeps the data: each of these tests fails
// when its rule is taken out.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "lwlock/repair.h"
#include "shmem/buffer_cache.h"
#include "storage/data_directory.h"
#include "storage/page.h"
#include "storage/store.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "tests/crash/storage_life.h"
#include "tests/support/actors.h"
#include "tests/support/fault_fs.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr uint32_t kDatabase = 1;  // empty in the specimen

// The specimen in a directory of its own, started.
class Started {
 public:
  Started() : life_(Directory()) {
    CopyDirectory(GetSpecimen().directory, Directory());
    MustSucceed(life_.Start());
  }
  static std::string Directory() { return ScratchDirectory() + "/moment"; }
  static std::string DataFile() { return Directory() + "/base/main"; }

  void End() { life_.End(); }
  void Restart() { MustSucceed(life_.Start()); }

 private:
  Life life_;
};

Status Checkpoint() {
  const auto summary = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  return summary.ok() ? Status() : Status(summary.error());
}

void PutIn1(std::string_view key, std::string_view value) { Put(key, value, kDatabase); }

// An error's text stands for the value.
std::string GetFrom1(std::string_view key) {
  std::string value = "(none)";
  const auto found =
      Store::Read(kDatabase, key, 1, NeedValue::kYes, [&](const Current& current, uint64_t) {
        if (current.exists) value = current.value;
      });
  return found.ok() ? value : found.error().message;
}

// Writes every page out, ends the life and leaves of each page changed after `lsn` the first half:
// power failed during the write. Returns how many.
int TearPagesChangedAfter(Started& store, Lsn lsn) {
  MustSucceed(Wal::FlushAll());
  MustSucceed(BufferCache::WriteAll());
  store.End();
  const int fd = open(Started::DataFile().c_str(), O_RDWR);
  REQUIRE(fd >= 0);
  const std::string noise(kPageBytes / 2, '\x5a');
  alignas(8) std::byte page[kPageBytes];
  int torn = 0;
  for (off_t at = 0; pread(fd, page, kPageBytes, at) == kPageBytes; at += kPageBytes) {
    if (HeaderOf(page).lsn <= lsn) continue;
    REQUIRE(pwrite(fd, noise.data(), noise.size(), at + kPageBytes / 2) ==
            static_cast<ssize_t>(noise.size()));
    ++torn;
  }
  close(fd);
  return torn;
}

uint64_t RestOfSegment() { return kSegmentBytes - SegmentOffset(Wal::InsertPosition()); }

// Until the log's segment has room for a checkpoint record, but not for one with 400 bytes in it.
void FillSegmentTo(uint64_t least, uint64_t most) {
  Lsn before = Wal::InsertPosition();
  PutIn1("pad", "");
  before = Wal::InsertPosition();
  PutIn1("pad", "");
  const uint64_t overhead = Wal::InsertPosition() - before;
  while (RestOfSegment() > most) {
    const uint64_t spare = RestOfSegment() - most;
    PutIn1("pad",
           std::string(spare > overhead ? std::min<uint64_t>(spare - overhead, 1500) : 0, 'p'));
  }
  REQUIRE(RestOfSegment() >= least);
}

}  // namespace

TEST_CASE("a page that is written takes the log up to its last change along") {
  Started store;
  MustSucceed(Checkpoint());
  PutIn1("key", "nobody waits for it");
  const Lsn end_of_change = Wal::InsertPosition();
  REQUIRE(Wal::FlushPosition() < end_of_change);
  MustSucceed(BufferCache::WriteAll());
  CHECK(Wal::FlushPosition() >= end_of_change);
  store.Restart();
  CHECK(GetFrom1("key") == "nobody waits for it");
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
}

TEST_CASE("the page of the last change before a checkpoint has an image with its next change") {
  Started store;
  PutIn1("key", "one");
  const Lsn end_of_change = Wal::InsertPosition();
  MustSucceed(Checkpoint());
  REQUIRE(Segment::Wal().checkpoint_start >= end_of_change);
  PutIn1("key", "two");
  REQUIRE(TearPagesChangedAfter(store, end_of_change) > 0);
  store.Restart();
  CHECK(GetFrom1("key") == "two");
  CHECK(Store::Check().ok());
}

TEST_CASE(
    "a checkpoint that starts between the building and the inserting of a record is noticed") {
  Started store;
  PutIn1("race", "before");
  FillSegmentTo(160, 330);
  const Lsn former_start = Segment::Wal().checkpoint_start;
  std::optional<Child> checkpointer;
  {
    // The record has been built and does not fit into the segment: while the next one is made, a
    // checkpoint starts.
    const WatchedFiles watched(Started::Directory(), [&](const FileEvent& event) {
      if (event.call == FileCall::kCreate && !checkpointer.has_value()) {
        checkpointer.emplace([&] {
          StoreWorld::BecomeProcess(1);
          return Checkpoint().ok();
        });
        CHECK(WaitFor([&] { return Segment::Wal().checkpoint_start != former_start; }));
      }
      return FileVerdict{};
    });
    PutIn1("race", std::string(400, 'r'));
  }
  REQUIRE(checkpointer.has_value());
  CHECK(checkpointer->Succeeded());
  REQUIRE(TearPagesChangedAfter(store, Segment::Wal().checkpoint_start) > 0);
  store.Restart();
  CHECK(GetFrom1("race") == std::string(400, 'r'));
  CHECK(Store::Check().ok());
}

namespace {

// False: of the two lives one has put a mark of the time before the record, so that nothing is
// shown; to be tried again. `pause_ms` goes before the first.
bool TryDeadRecord(int pause_ms) {
  Started store;
  PutIn1("key", "first");
  PutIn1("other", "first");
  const Lsn begin = Wal::InsertPosition();
  poll(nullptr, 0, pause_ms);
  PutIn1("key", "dead1");
  const Lsn second = Wal::InsertPosition();
  PutIn1("other", "dead2");
  MustSucceed(Wal::FlushAll());
  store.End();
  // The first crash: of the last two records only the second reached the disk.
  const std::string segment =
      fmt::format("{}/wal/{}", Started::Directory(), WalSegmentName(SegmentOf(begin)));
  const int fd = open(segment.c_str(), O_WRONLY);
  const std::string zeros(8, '\0');
  REQUIRE(pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(SegmentOffset(begin))) == 8);
  close(fd);
  store.Restart();
  REQUIRE(Wal::InsertPosition() == begin);
  PutIn1("key", "alive");
  if (Wal::InsertPosition() != second) return false;
  MustSucceed(Wal::FlushAll());
  // The second crash.
  store.Restart();
  CHECK(GetFrom1("key") == "alive");
  CHECK(GetFrom1("other") == "first");
  CHECK(Store::Check().ok());
  return true;
}

}  // namespace

TEST_CASE("a record of a former life behind a new one of equal length stays dead") {
  int attempts = 0;
  CHECK(WaitFor([&] { return TryDeadRecord(++attempts % 2 * 120); }));
}

// -- The flusher.

namespace {

// A process that flushes and dies at a given moment.
struct Moment {
  const char* name;
  FileCall call;
  bool half;   // of the write
  bool after;  // the call
};

constexpr Moment kMoments[] = {
    {"before the write", FileCall::kWrite, false, false},
    {"within the write", FileCall::kWrite, true, true},
    {"between write and sync", FileCall::kSync, false, false},
    {"between sync and publish", FileCall::kSync, false, true},
};

bool FlushAndDie(const Moment& moment) {
  Child flusher([&] {
    StoreWorld::BecomeProcess(1);
    const auto die_at = [&](const FileEvent& event, bool after) {
      if (event.call == moment.call && after == moment.after) kill(getpid(), SIGKILL);
    };
    const WatchedFiles watched(
        Started::Directory(),
        [&](const FileEvent& event) {
          die_at(event, false);
          return FileVerdict{.half = moment.half};
        },
        [&](const FileEvent& event) { die_at(event, true); });
    (void)Wal::FlushAll();
    return false;
  });
  return flusher.WasKilled();
}

}  // namespace

TEST_CASE("a flusher that dies at any moment is replaced, and what it left undone is done again") {
  for (const Moment& moment : kMoments) {
    INFO(std::string(moment.name));
    Started store;
    PutIn1("key", "durable");
    MustSucceed(Wal::FlushAll());
    const Lsn durable = Wal::FlushPosition();
    PutIn1("key", "flushed by its successor");
    REQUIRE(FlushAndDie(moment));
    CHECK(Wal::FlushPosition() == durable);
    REQUIRE(ReleaseLocksOfDead(Segment::Locks(), Segment::Procs()[1].locks, 1));
    MustSucceed(Wal::FlushAll());
    store.Restart();
    CHECK(GetFrom1("key") == "flushed by its successor");
  }
}

TEST_CASE("after a failed sync nothing is believed durable, and memory brings it to a later one") {
  Started store;
  PutIn1("key", "durable");
  MustSucceed(Wal::FlushAll());
  const Lsn durable = Wal::FlushPosition();
  PutIn1("key", "in memory only");
  {
    // As a kernel may do: the sync fails once, what was written is gone, and the next sync
    // succeeds.
    std::string segment;
    uint64_t offset = 0;
    std::vector<char> zeros;
    const WatchedFiles watched(Started::Directory(), [&](const FileEvent& event) {
      if (event.call == FileCall::kWrite) {
        segment = event.path;
        offset = event.offset;
        zeros.assign(event.bytes, '\0');
      }
      if (event.call != FileCall::kSync) return FileVerdict{};
      const int fd = open(segment.c_str(), O_WRONLY);
      CHECK(pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(offset)) > 0);
      close(fd);
      return FileVerdict{.error = EIO};
    });
    CHECK_FALSE(Wal::FlushAll().ok());
  }
  const Status again = Wal::FlushAll();
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::kIo);
  CHECK(Wal::FlushPosition() == durable);
  const auto refused =
      Store::Modify(kDatabase, "key", 1, NeedValue::kNo, [](const Current&, uint64_t) {
        return Change{Change::kErase, {}, 0};
      });
  CHECK_FALSE(refused.ok());
  CHECK(GetFrom1("key") == "in memory only");
  // What the server does then, before it starts over.
  const Result<Lsn> rescued = Wal::RescueRing();
  REQUIRE(rescued.ok());
  CHECK(*rescued == Wal::InsertPosition());
  store.Restart();
  CHECK(GetFrom1("key") == "in memory only");
}

TEST_CASE(
    "after a failed sync of the data file nothing is accepted, and redo brings its pages back") {
  Started store;
  PutIn1("key", "one");
  MustSucceed(Wal::FlushAll());
  {
    const WatchedFiles watched(Started::Directory(), [&](const FileEvent& event) {
      const bool is_data = event.path == Started::DataFile();
      return FileVerdict{.error = event.call == FileCall::kSync && is_data ? EIO : 0};
    });
    const Status failed = Checkpoint();
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error().message.find("base/main") != std::string::npos);
  }
  // It would succeed now, for the kernel has forgotten what it could not write.
  CHECK_FALSE(Checkpoint().ok());
  const auto refused =
      Store::Modify(kDatabase, "key", 1, NeedValue::kNo, [](const Current&, uint64_t) {
        return Change{Change::kErase, {}, 0};
      });
  CHECK_FALSE(refused.ok());
  store.Restart();
  CHECK(GetFrom1("key") == "one");
  MustSucceed(Checkpoint());
}

}  // namespace warren::test

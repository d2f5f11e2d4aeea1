// What a backup reads from a store that goes on changing.
#include "storage/backup_source.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/page.h"
#include "storage/wal.h"
#include "storage/wal_archive.h"
#include "storage/wal_format.h"
#include "storage/wal_retention.h"
#include "storage/wal_segments.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr PageNo kTornPage = kFirstCatalogPage;

void Checkpoint() {
  const auto made = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  REQUIRE(made.ok());
}

BackupStart BeginBackup() {
  BackupSource::HoldLog();
  Checkpoint();
  const auto start = BackupSource::Begin();
  REQUIRE(start.ok());
  return *start;
}

// Half of a page as if somebody were writing it; the bytes that belong there are returned.
std::string Tear(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR);
  std::string half(kPageBytes / 2, '\0');
  const off_t at = off_t{kTornPage} * kPageBytes + kPageBytes / 2;
  REQUIRE(pread(fd, half.data(), half.size(), at) == static_cast<ssize_t>(half.size()));
  const std::string other(half.size(), '\x5a');
  REQUIRE(pwrite(fd, other.data(), other.size(), at) == static_cast<ssize_t>(other.size()));
  close(fd);
  return half;
}

}  // namespace

TEST_CASE("a page that is just being written is read again until it is whole") {
  StoreWorld world;
  for (int i = 0; i < 100; ++i) Put(fmt::format("key{}", i), "value");
  const BackupStart start = BeginBackup();
  const std::string path = world.path() + "/base/main";
  const std::string rest = Tear(path);
  std::vector<std::byte> pages(size_t{start.page_count} * kPageBytes);
  std::vector<PageNo> damaged;
  SUBCASE("and is not damaged when it gets whole") {
    Child writer([&] {
      usleep(20'000);  // the second half of a slow write
      const int fd = open(path.c_str(), O_WRONLY);
      return pwrite(fd, rest.data(), rest.size(), off_t{kTornPage} * kPageBytes + kPageBytes / 2) ==
             static_cast<ssize_t>(rest.size());
    });
    const auto read = BackupSource::ReadPages(0, pages, &damaged);
    REQUIRE(read.ok());
    CHECK(*read == start.page_count);
    CHECK(damaged.empty());
    CHECK(std::memcmp(&pages[size_t{kTornPage} * kPageBytes + kPageBytes / 2], rest.data(),
                      rest.size()) == 0);
    CHECK(writer.Succeeded());
  }
  SUBCASE("and is named when it never does") {
    REQUIRE(BackupSource::ReadPages(0, pages, &damaged).ok());
    CHECK(damaged == std::vector<PageNo>{kTornPage});
  }
  // The checksums are still in what was read.
  CHECK(VerifyPage(0, PageBytes(pages.data(), kPageBytes)).ok());
  CHECK(HeaderOf(&pages[size_t{3} * kPageBytes]).checksum != 0);
  BackupSource::ReleaseLog();
}

TEST_CASE("a file that has become shorter gives fewer pages") {
  StoreWorld world;
  const BackupStart start = BeginBackup();
  REQUIRE(truncate((world.path() + "/base/main").c_str(), off_t{20} * kPageBytes + 100) == 0);
  std::vector<std::byte> pages(size_t{start.page_count} * kPageBytes);
  std::vector<PageNo> damaged;
  const auto read = BackupSource::ReadPages(10, pages, &damaged);
  REQUIRE(read.ok());
  CHECK(*read == 10);
  const auto behind = BackupSource::ReadPages(30, pages, &damaged);
  REQUIRE(behind.ok());
  CHECK(*behind == 0);
  BackupSource::ReleaseLog();
}

TEST_CASE("the log of a backup is read from its first file to its stop and no further") {
  StoreWorld world;
  const BackupStart start = BeginBackup();
  Put("key", "value");
  const auto stop = BackupSource::Stop();
  REQUIRE(stop.ok());
  Put("later", "value");
  std::vector<std::byte> bytes(1 << 20);
  const auto read = BackupSource::ReadLog(kFirstLsn, bytes);
  REQUIRE(read.ok());
  CHECK(*read == *stop - kFirstLsn);
  CHECK(*BackupSource::ReadLog(*stop, bytes) == 0);
  CHECK_FALSE(BackupSource::ReadLog(*stop + 8, bytes).ok());
  CHECK_FALSE(BackupSource::ReadLog(start.start - kSegmentBytes, bytes).ok());
  BackupSource::ReleaseLog();
}

TEST_CASE("the oldest log file needed is the least of what redo, backups and the archive need") {
  StoreWorld world;
  const ProcArray procs = Segment::Procs();
  const Lsn redo = 10 * kSegmentBytes + 100;
  CHECK(OldestSegmentNeeded(redo, 0) == 10);
  CHECK(OldestSegmentNeeded(redo, 3) == 7);
  CHECK(OldestSegmentNeeded(redo, 30) == 0);
  procs[0].wal_hold = 5 * kSegmentBytes;
  CHECK(OldestSegmentNeeded(redo, 0) == 5);
  (void)procs.GiveOut(1, ProcessKind::kBackend);
  procs[1].wal_hold = 4 * kSegmentBytes;
  CHECK(OldestSegmentNeeded(redo, 0) == 5);  // it does not run yet
  procs[1].life = ProcLife::kRunning;
  CHECK(OldestSegmentNeeded(redo, 0) == 4);
  for (const ProcLife over : {ProcLife::kExited, ProcLife::kDead, ProcLife::kFree}) {
    procs[1].life = over;
    CHECK(OldestSegmentNeeded(redo, 0) == 5);
  }
  (void)procs.GiveOut(1, ProcessKind::kBackend);  // nothing is left of the former one
  procs[1].life = ProcLife::kRunning;
  CHECK(OldestSegmentNeeded(redo, 0) == 5);
  procs[0].wal_hold = 0;
  CHECK(OldestSegmentNeeded(redo, 0) == 10);
  procs[1].life = ProcLife::kFree;
}

TEST_CASE("a log file comes into the archive whole, once, and never over another") {
  StoreWorld world;
  const TemporaryDirectory archive;
  const std::string path = archive.path() + "/" + WalSegmentName(1);
  Put("key", "value");
  MustSucceed(Wal::FlushAll());
  const auto first = ArchiveSegment(archive.path(), 1);
  REQUIRE_MESSAGE(first.ok(), first.error().message);
  CHECK(*first);
  const auto again = ArchiveSegment(archive.path(), 1);
  REQUIRE(again.ok());
  CHECK_FALSE(*again);
  CHECK(std::filesystem::file_size(path) == kSegmentBytes);
  Put("key", "another history");
  MustSucceed(Wal::FlushAll());
  const auto other = ArchiveSegment(archive.path(), 1);
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().message.find("another history") != std::string::npos);
  REQUIRE(truncate(path.c_str(), 100) == 0);
  CHECK_FALSE(ArchiveSegment(archive.path(), 1).ok());
  CHECK_FALSE(ArchiveSegment(archive.path() + "/none", 1).ok());
  CHECK_FALSE(ArchiveSegment(archive.path(), 77).ok());  // no such log file
  CHECK_FALSE(std::filesystem::exists(archive.path() + "/" + WalSegmentName(77)));
}

}  // namespace warren::test

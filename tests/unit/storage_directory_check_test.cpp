// A directory without its server: which damage is named, what is none, and that nothing is written.
#include "storage/directory_check.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "shmem/buffer_cache.h"
#include "storage/control_file.h"
#include "storage/map_page.h"
#include "storage/node.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_reader.h"
#include "storage/wal_segments.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

// What `warren check` would find.
DirectoryReport Check(const std::string& path) {
  SegmentConfig config = SmallSegment(256);
  config.database_count = kMaxDatabases;
  MustSucceed(Segment::Create(config));
  StoreWorld::BecomeProcess(0);
  Result<DirectoryReport> report = CheckDirectory(path);
  Segment::Destroy();
  REQUIRE_MESSAGE(report.ok(), report.error().message);
  return *std::move(report);
}

bool AnyContains(const std::vector<std::string>& lines, const std::string& part) {
  for (const std::string& line : lines) {
    if (line.find(part) != std::string::npos) return true;
  }
  for (const std::string& line : lines) MESSAGE(line);
  return false;
}

std::string DataFilePath(const StoreWorld& world) { return world.path() + "/base/main"; }

void Flip(const std::string& path, uint64_t offset) {
  const int fd = open(path.c_str(), O_RDWR);
  REQUIRE(fd >= 0);
  char byte = 0;
  REQUIRE(pread(fd, &byte, 1, static_cast<off_t>(offset)) == 1);
  byte = static_cast<char>(byte ^ 0x10);
  REQUIRE(pwrite(fd, &byte, 1, static_cast<off_t>(offset)) == 1);
  close(fd);
}

// Rewrites a page with a good checksum.
void Rewrite(const StoreWorld& world, PageNo page_no, FunctionRef<void(std::byte*)> change) {
  DataFile file;
  MustSucceed(file.Open(DataFilePath(world), world.path(), false));
  alignas(8) std::byte page[kPageBytes];
  MustSucceed(file.ReadPage(page_no, page));
  change(page);
  MustSucceed(file.WritePage(page_no, page));
}

PageNo FindPage(const StoreWorld& world, FunctionRef<bool(const std::byte*)> wanted) {
  DataFile file;
  MustSucceed(file.Open(DataFilePath(world), world.path(), false));
  alignas(8) std::byte page[kPageBytes];
  for (PageNo page_no = 0; page_no < file.page_count(); ++page_no) {
    MustSucceed(file.ReadPage(page_no, page));
    if (wanted(page)) return page_no;
  }
  FAIL("there is no such page");
  return kNoPage;
}

PageNo FindType(const StoreWorld& world, PageType type) {
  return FindPage(world, [type](const std::byte* page) { return HeaderOf(page).type == type; });
}

void Fill() {
  for (int i = 0; i < 4000; ++i) Put(fmt::format("k{:05}", i), std::string(80, 'v'));
  for (int i = 1000; i < 1500; ++i) (void)Erase(fmt::format("k{:05}", i));
  Put("large", std::string(50'000, 'x'), 2, 9'000'000);
}

void StopCleanly(StoreWorld& world) {
  MustSucceed(DataDirectory::CloseCleanly());
  world.Stop();
}

void Crash(StoreWorld& world) {
  MustSucceed(Wal::FlushAll());
  world.Stop();
}

std::map<std::string, std::string> AllFiles(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    std::ostringstream content;
    if (entry.is_regular_file()) {
      content << std::ifstream(entry.path(), std::ios::binary).rdbuf()
              << entry.last_write_time().time_since_epoch().count();
    }
    files[entry.path()] = content.str();
  }
  return files;
}

std::string SegmentPath(const StoreWorld& world, Lsn lsn) {
  return fmt::format("{}/wal/{}", world.path(), WalSegmentName(SegmentOf(lsn)));
}

// Where the records of the log begin.
std::vector<Lsn> Records(const StoreWorld& world, Lsn from) {
  WalSegments::Bind(world.path() + "/wal");
  WalReader reader(from);
  std::vector<Lsn> begins;
  for (;;) {
    const auto record = reader.Next();
    REQUIRE(record.ok());
    if (!record->has_value()) return begins;
    begins.push_back((*record)->begin);
  }
}

}  // namespace

TEST_CASE("a directory that was shut down has no faults, and is not changed by looking") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  const auto before = AllFiles(world.path());
  const DirectoryReport report = Check(world.path());
  CHECK(report.faults.empty());
  CHECK(report.notes.empty());
  CHECK(report.store_checked);
  CHECK(report.totals.keys == 3501);
  CHECK(report.redo->records == 1);
  CHECK(AllFiles(world.path()) == before);
}

TEST_CASE("a directory that crashed is checked as redo would leave it, and not changed by that") {
  StoreWorld world(64);
  Fill();
  REQUIRE(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok());
  for (int i = 0; i < 9000; ++i) Put(fmt::format("more{:05}", i), std::string(300, 'w'), 1);
  Crash(world);
  const auto before = AllFiles(world.path());
  const DirectoryReport report = Check(world.path());
  CHECK(report.faults.empty());
  CHECK(report.redo->records > 9000);
  CHECK(report.totals.keys == 3501 + 9000);
  CHECK(AllFiles(world.path()) == before);
  world.Start();
  CHECK(Store::KeyCount(1) == 9000);
  MustSucceed(Store::Check());
}

TEST_CASE("a flipped byte in a page of any kind is named with file, page and offset") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  PageNo page_no = 0;
  SUBCASE("the file's header") { page_no = 0; }
  SUBCASE("the allocation map") { page_no = 1; }
  SUBCASE("the catalog") { page_no = kFirstCatalogPage; }
  SUBCASE("a leaf") { page_no = FindType(world, PageType::kLeaf); }
  SUBCASE("an inner page") { page_no = FindType(world, PageType::kInner); }
  SUBCASE("an overflow page") { page_no = FindType(world, PageType::kOverflow); }
  SUBCASE("a free page") { page_no = FindType(world, PageType::kNone); }
  Flip(DataFilePath(world), uint64_t{page_no} * kPageBytes + 3000);
  const DirectoryReport report = Check(world.path());
  CHECK(AnyContains(report.faults.lines(),
                    fmt::format("data file \"base/main\" page {}: checksum mismatch", page_no)));
  CHECK(AnyContains(report.faults.lines(),
                    fmt::format("(offset {})", uint64_t{page_no} * kPageBytes)));
  // What follows from it is not told as faults of its own.
  CHECK(report.faults.count() == 1);
}

TEST_CASE("a page whose bytes are whole and wrong is named with what is wrong") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  const auto named = [](PageNo page_no, std::string_view what, size_t byte) {
    return fmt::format("data file \"base/main\" page {}: {} (offset {})", page_no, what,
                       uint64_t{page_no} * kPageBytes + byte);
  };
  const PageNo leaf = FindPage(world, [](const std::byte* page) {
    return HeaderOf(page).type == PageType::kLeaf && HeaderOf(page).right != kNoPage;
  });
  SUBCASE("a leaf's flags") {
    Rewrite(world, leaf, [](std::byte* page) { HeaderOf(page).flags |= kDeletedFlag; });
    CHECK(AnyContains(Check(world.path()).faults.lines(),
                      named(leaf, "it is unlinked and linked", offsetof(PageHeader, flags))));
  }
  SUBCASE("a right link into nowhere") {
    Rewrite(world, leaf, [](std::byte* page) { HeaderOf(page).right = 1'000'000; });
    CHECK(AnyContains(Check(world.path()).faults.lines(),
                      "page 1000000: a link leads to it, it lies beyond the end of the file"));
  }
  SUBCASE("a root that is none") {
    Rewrite(world, kFirstCatalogPage, [leaf](std::byte* page) {
      reinterpret_cast<CatalogPage*>(page)->entries[0].root = leaf;
    });
    CHECK(AnyContains(Check(world.path()).faults.lines(),
                      named(leaf, "its root flag is wrong", offsetof(PageHeader, flags))));
  }
  SUBCASE("a used page that the map calls free, and a free one that it calls used") {
    PageNo unused = kNoPage;
    Rewrite(world, 1, [&](std::byte* page) {
      auto& map = *reinterpret_cast<MapPage*>(page);
      unused = *FindFreePage(map, 1);
      SetPageState(map, unused, PageState::kUsed);
      SetPageState(map, leaf, PageState::kFree);
    });
    const DirectoryReport report = Check(world.path());
    CHECK(AnyContains(report.faults.lines(),
                      named(leaf,
                            "the allocation map (page 1) calls it free, but something leads "
                            "to it",
                            0)));
    CHECK(AnyContains(report.faults.lines(),
                      named(unused,
                            "the allocation map (page 1) calls it used, but nothing leads "
                            "to it",
                            0)));
  }
  SUBCASE("a chain cut short") {
    const PageNo page_no = FindPage(world, [](const std::byte* page) {
      return HeaderOf(page).type == PageType::kOverflow && HeaderOf(page).right != kNoPage;
    });
    Rewrite(world, page_no, [](std::byte* page) { HeaderOf(page).right = kNoPage; });
    CHECK(AnyContains(Check(world.path()).faults.lines(), "bytes, its cell says 50000"));
  }
  SUBCASE("a page that is newer than the log") {
    Rewrite(world, leaf, [](std::byte* page) { HeaderOf(page).lsn += uint64_t{1} << 40; });
    CHECK(AnyContains(Check(world.path()).faults.lines(),
                      fmt::format("but page {} has a change", leaf)));
  }
}

TEST_CASE("a damaged control file is named, and the pages are looked at all the same") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  Flip(ControlPath(world.path()), 33);
  Flip(DataFilePath(world), 20 * kPageBytes + 40);
  const DirectoryReport report = Check(world.path());
  CHECK(AnyContains(report.faults.lines(), "warren.control\" offset 48: checksum mismatch"));
  CHECK(AnyContains(report.faults.lines(), "page 20: checksum mismatch"));
  CHECK_FALSE(report.store_checked);
}

TEST_CASE("files of different systems are told apart, pages as well as log") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  const TemporaryDirectory other;
  MustSucceed(DataDirectory::Init(other.path() + "/d", 4));
  const std::string control = ControlPath(world.path());
  const auto bytes = ReadControl(world.path());
  REQUIRE(bytes.ok());
  ControlData changed = *bytes;
  changed.system_id ^= 1;
  MustSucceed(WriteControl(world.path(), changed));
  CHECK(AnyContains(Check(world.path()).faults.lines(), "the control file belongs to"));
}

TEST_CASE("without its checkpoint record a log is a fault that names position and segment") {
  StoreWorld world;
  Fill();
  StopCleanly(world);
  const auto control = ReadControl(world.path());
  REQUIRE(control.ok());
  Flip(SegmentPath(world, control->redo_begin), SegmentOffset(control->redo_begin) + 30);
  const DirectoryReport report = Check(world.path());
  CHECK(AnyContains(report.faults.lines(),
                    fmt::format("the checkpoint record at {:#x} (segment {} offset {})",
                                control->redo_begin, WalSegmentName(SegmentOf(control->redo_begin)),
                                SegmentOffset(control->redo_begin))));
}

TEST_CASE(
    "a flipped byte in the middle of the log is a fault, in its last record an ordinary end") {
  StoreWorld world;
  Fill();
  Crash(world);
  const std::vector<Lsn> records = Records(world, kFirstLsn);
  REQUIRE(records.size() > 1000);
  SUBCASE("in the middle") {
    const Lsn lsn = records[records.size() / 2];
    Flip(SegmentPath(world, lsn), SegmentOffset(lsn) + 40);
    const DirectoryReport report = Check(world.path());
    CHECK(AnyContains(report.faults.lines(),
                      fmt::format("write-ahead log segment {} at {:#x}: checksum mismatch",
                                  WalSegmentName(SegmentOf(lsn)), lsn)));
    CHECK(AnyContains(report.faults.lines(), fmt::format("(offset {})", SegmentOffset(lsn))));
  }
  SUBCASE("in the last record") {
    Flip(SegmentPath(world, records.back()), SegmentOffset(records.back()) + 40);
    const DirectoryReport report = Check(world.path());
    CHECK(report.faults.empty());
    CHECK(report.redo->end == records.back());
  }
  SUBCASE("a lost sector before the last records may be what a power failure left") {
    const Lsn sector = (records[records.size() - 20] / 512 + 1) * 512;
    const int fd = open(SegmentPath(world, sector).c_str(), O_WRONLY);
    const std::string zeros(512, '\0');
    REQUIRE(pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(SegmentOffset(sector))) ==
            512);
    close(fd);
    const DirectoryReport report = Check(world.path());
    CHECK(report.faults.empty());
    CHECK(AnyContains(report.notes, "not synced yet"));
  }
}

TEST_CASE("pages torn by a crash that the log rebuilds are no faults, others are") {
  StoreWorld world;
  Fill();
  REQUIRE(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok());
  const Lsn redo_point = Segment::Wal().redo_point;
  for (int i = 0; i < 500; ++i) Put(fmt::format("k{:05}", i), std::string(80, 'n'));
  MustSucceed(Wal::FlushAll());
  MustSucceed(BufferCache::WriteAll());
  Crash(world);
  const PageNo changed = FindPage(world, [&](const std::byte* page) {
    return HeaderOf(page).lsn > redo_point && HeaderOf(page).type == PageType::kLeaf;
  });
  const PageNo unchanged = FindPage(world, [&](const std::byte* page) {
    return HeaderOf(page).lsn < redo_point && HeaderOf(page).type == PageType::kLeaf;
  });
  Flip(DataFilePath(world), uint64_t{changed} * kPageBytes + 5000);
  const DirectoryReport rebuilt = Check(world.path());
  CHECK(rebuilt.faults.empty());
  CHECK(rebuilt.rebuilt_pages == 1);
  Flip(DataFilePath(world), uint64_t{unchanged} * kPageBytes + 5000);
  const DirectoryReport damaged = Check(world.path());
  CHECK(AnyContains(damaged.faults.lines(), fmt::format("page {}: checksum mismatch", unchanged)));
  CHECK(damaged.faults.count() == 1);
}

}  // namespace warren::test

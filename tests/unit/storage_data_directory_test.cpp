// The data directory and the data file: making, opening, refusing.
#include "storage/data_directory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "storage/control_file.h"
#include "storage/page.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

void Overwrite(const std::string& path, off_t offset, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY);
  REQUIRE(fd >= 0);
  REQUIRE(pwrite(fd, bytes.data(), bytes.size(), offset) == static_cast<ssize_t>(bytes.size()));
  close(fd);
}

// Of opening and recovering.
std::string OpenError(StoreWorld& world, uint32_t databases = 4) {
  SegmentConfig config = SmallSegment(64);
  config.database_count = databases;
  MustSucceed(Segment::Create(config));
  StoreWorld::BecomeProcess(0);
  Status status = DataDirectory::Open(world.path(), databases);
  if (status.ok()) status = DataDirectory::Recover();
  world.Stop();
  return status.ok() ? "" : status.error().message;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

DataDirectory::Kind Inspect(const std::string& path) {
  const auto kind = DataDirectory::Inspect(path);
  REQUIRE(kind.ok());
  return *kind;
}

}  // namespace

TEST_CASE("a directory is told apart as missing, empty, Warren's or foreign") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/data";
  CHECK(Inspect(path) == DataDirectory::Kind::kMissing);
  REQUIRE(mkdir(path.c_str(), 0700) == 0);
  CHECK(Inspect(path) == DataDirectory::Kind::kEmpty);
  std::ofstream(path + "/postmaster.pid") << "1\n";
  CHECK(Inspect(path) == DataDirectory::Kind::kEmpty);
  MustSucceed(DataDirectory::Init(path, 4));
  CHECK(Inspect(path) == DataDirectory::Kind::kWarren);
  CHECK_FALSE(DataDirectory::Init(path, 4).ok());
  std::ofstream(directory.path() + "/notes.txt") << "mine\n";
  CHECK(Inspect(directory.path()) == DataDirectory::Kind::kForeign);
  const Status refused = DataDirectory::Init(directory.path(), 4);
  REQUIRE_FALSE(refused.ok());
  CHECK(Contains(refused.error().message, "neither empty nor Warren's"));
}

TEST_CASE("a failed init leaves nothing behind") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/data";
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 10 * kPageBytes;
  setrlimit(RLIMIT_FSIZE, &small);
  const Status status = DataDirectory::Init(path, 4);
  setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kNoSpace);
  CHECK(Inspect(path) == DataDirectory::Kind::kMissing);
  MustSucceed(DataDirectory::Init(path, 4));
}

TEST_CASE("after a clean stop everything is there again and log positions go on") {
  StoreWorld world;
  const std::string large(50'000, 'L');
  for (int i = 0; i < 3000; ++i) Put(fmt::format("k{}", i), fmt::format("v{}", i), 1);
  Put("large", large, 2, 5'000);
  const Lsn lsn = Segment::Wal().insert.load();
  const uint64_t starts = Segment::Server().start_count.load();
  world.Restart();
  CHECK(Segment::Wal().insert.load() >= lsn);
  CHECK(Segment::Server().start_count.load() == starts + 1);
  CHECK(Store::KeyCount(1) == 3000);
  CHECK(Store::ExpiresCount(2) == 1);
  CHECK(Get("k2999", 1) == "v2999");
  CHECK(Get("large", 2) == large);
  MustSucceed(Store::Check());
}

TEST_CASE("a control file that is damaged, foreign or of another version is named with the place") {
  StoreWorld world;
  MustSucceed(DataDirectory::CloseCleanly());
  world.Stop();
  const std::string control = ControlPath(world.path());
  SUBCASE("foreign") {
    Overwrite(control, 0, "SOMEBODY");
    CHECK(Contains(OpenError(world), "offset 0: not a Warren control file"));
  }
  SUBCASE("version") {
    Overwrite(control, 8, std::string_view("\x63\0\0\0", 4));
    CHECK(Contains(OpenError(world), "offset 8: format version 99, this program reads version 3"));
  }
  SUBCASE("damaged") {
    Overwrite(control, 24, "x");
    CHECK(Contains(OpenError(world), "checksum mismatch"));
  }
  SUBCASE("cut off") {
    REQUIRE(truncate(control.c_str(), 20) == 0);
    CHECK(Contains(OpenError(world), "offset 20"));
  }
  SUBCASE("of another directory") {
    const TemporaryDirectory other;
    MustSucceed(DataDirectory::Init(other.path() + "/d", 4));
    REQUIRE(rename((other.path() + "/d/warren.control").c_str(), control.c_str()) == 0);
    CHECK(Contains(OpenError(world), "the control file belongs to"));
  }
}

TEST_CASE("databases can become more, and fewer while none that goes has keys") {
  StoreWorld world;
  Put("a", "1", 3);
  MustSucceed(DataDirectory::CloseCleanly());
  world.Stop();
  const std::string error = OpenError(world, 3);
  CHECK(Contains(error, "databases is 3, but database 3 is not empty"));
  CHECK(OpenError(world, 1000).empty());
}

TEST_CASE("a page with a wrong checksum, number or place is named when it is read") {
  StoreWorld world(64);
  for (int i = 0; i < 4000; ++i) Put(fmt::format("k{:05}", i), std::string(100, 'v'));
  MustSucceed(DataDirectory::CloseCleanly());
  world.Stop();
  const std::string data = world.path() + "/base/main";
  DataFile file;
  MustSucceed(file.Open(data, world.path(), false));
  alignas(8) std::byte page[kPageBytes];
  const auto read = [&](PageNo page_no) {
    const Status status = file.ReadPage(page_no, page);
    return status.ok() ? "" : status.error().message;
  };
  // Leaves: the first pages are the first leaf, its right half and the root above them.
  CHECK(read(20) == "");
  Overwrite(data, 20 * kPageBytes + 5000, "!");
  CHECK(Contains(read(20), "data file \"base/main\" page 20: checksum mismatch, expected 0x"));
  CHECK(read(21) == "");
  const std::string copy(reinterpret_cast<const char*>(page), kPageBytes);
  Overwrite(data, 22 * kPageBytes, copy);
  CHECK(Contains(read(22), "page 22: checksum mismatch"));
  // What a number that was kept too long leads to, beyond the end, is a page of nothing.
  CHECK(read(1'000'000) == "");
  CHECK(HeaderOf(page).type == PageType::kNone);
  // The other keys are still served.
  world.Start();
  uint64_t corrupt = 0;
  uint64_t good = 0;
  for (int i = 0; i < 4000; i += 10) {
    const auto found = Store::Read(0, fmt::format("k{:05}", i), 1, NeedValue::kYes,
                                   [](const Current&, uint64_t) {});
    if (found.ok()) {
      ++good;
    } else {
      CHECK(found.error().code == ErrorCode::kCorrupt);
      ++corrupt;
    }
  }
  CHECK(corrupt > 0);
  CHECK(good > 300);
  const Status check = Store::Check();
  REQUIRE_FALSE(check.ok());
  CHECK(Contains(check.error().message, "checksum mismatch"));
}

TEST_CASE(
    "a file-size limit answers NOSPACE, changes nothing, and work goes on when it is lifted") {
  StoreWorld world(64);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 2500 * kPageBytes + 100;  // more than a file of the log, which is never sparse
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string value(1000, 'v');
  int count = 0;
  std::string error;
  const auto put = [&](const std::string& key, std::string_view bytes) -> Status {
    const auto done = Store::Modify(0, key, 1, NeedValue::kNo, [&](const Current&, uint64_t) {
      return Change{Change::kPut, bytes, 0};
    });
    return done.ok() ? Status() : Status(done.error());
  };
  for (;; ++count) {
    const Status status = put(fmt::format("k{:05}", count), value);
    if (status.ok()) continue;
    CHECK(status.error().code == ErrorCode::kNoSpace);
    error = status.error().message;
    break;
  }
  CHECK(count > 12'000);
  CHECK(Contains(error, world.path()));
  CHECK(Store::KeyCount(0) == static_cast<uint64_t>(count));
  const Status large = put("large", std::string(3'000'000, 'x'));
  REQUIRE_FALSE(large.ok());
  CHECK(large.error().code == ErrorCode::kNoSpace);
  CHECK(Get("k00007") == value);
  CHECK(Erase("k00008"));
  MustSucceed(Store::Check());
  setrlimit(RLIMIT_FSIZE, &before);
  MustSucceed(put("large", std::string(3'000'000, 'x')));
  MustSucceed(put(fmt::format("k{:05}", count), value));
  MustSucceed(Store::Check());
}

}  // namespace warren::test

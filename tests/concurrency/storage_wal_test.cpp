// Does the log give back what was put in, in order, up to the last durable byte?
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "lwlock/repair.h"
#include "shmem/segment.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_reader.h"
#include "storage/wal_segments.h"
#include "tests/support/actors.h"
#include "tests/unit/temporary_directory.h"

namespace warren {
namespace {

using test::RunActors;

constexpr uint8_t kType = kFirstStorageWalType;

// A log of its own in a fresh directory, with the test as slot 0.
class LogWorld {
 public:
  explicit LogWorld(uint32_t ring_bytes = 1 << 20) {
    WalSegments::Bind(directory_.path());
    Start(1, kFirstLsn, ring_bytes);
  }
  ~LogWorld() { Segment::Destroy(); }

  // As after a crash: shared memory is new, the log goes on at `end`.
  void Start(uint32_t start_count, Lsn end, uint32_t ring_bytes = 1 << 20) {
    Segment::Destroy();
    SegmentConfig config;
    config.max_connections = 8;
    config.buffer_count = 16;
    config.wal_ring_bytes = ring_bytes;
    REQUIRE(Segment::Create(config).ok());
    Segment::BindProcess(0);
    Wal::Bind({.system_id = 7, .start_count = start_count});
    REQUIRE(Wal::StartAt(end).ok());
  }

  std::string PathOf(uint64_t segment) const {
    return directory_.path() + "/" + WalSegmentName(segment);
  }

 private:
  TemporaryDirectory directory_;
};

// Inserts one record whose body is `text`, half of it as the tail; its end.
Result<Lsn> TryInsert(std::string_view text) {
  ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(text.size()));
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  const std::span<const std::byte> head = bytes.first(bytes.size() - bytes.size() / 2);
  const WalPiece tail = bytes.subspan(head.size());
  const std::span<const WalPiece> pieces(&tail, tail.empty() ? 0 : 1);
  insertion.Publish(kType, 0, head, pieces, WalTailHash(pieces), nullptr);
  return insertion.end();
}

Lsn Insert(std::string_view text) {
  const Result<Lsn> end = TryInsert(text);
  REQUIRE(end.ok());
  return *end;
}

struct Log {
  std::vector<std::string> texts;
  Lsn end = 0;
  std::string end_reason;
};

Log ReadLog(Lsn from = kFirstLsn) {
  Log log;
  WalReader reader(from);
  for (;;) {
    Result<std::optional<WalRecord>> record = reader.Next();
    REQUIRE(record.ok());
    if (!*record) break;
    CHECK((*record)->header.type == kType);
    std::string& text = log.texts.emplace_back();
    for (const std::span<const std::byte> part : {(*record)->head, (*record)->tail}) {
      text.append(reinterpret_cast<const char*>(part.data()), part.size());
    }
  }
  log.end = reader.position();
  log.end_reason = reader.end_reason();
  return log;
}

void Overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY);
  REQUIRE(fd >= 0);
  REQUIRE(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(bytes.size()));
  close(fd);
}

TEST_CASE("records come back in order, and only those that were flushed") {
  LogWorld world;
  const Lsn first = Insert("first");
  const Lsn second = Insert("");
  REQUIRE(Wal::Flush(second).ok());
  Insert("not flushed");
  const Log log = ReadLog();
  CHECK(log.texts == std::vector<std::string>{"first", ""});
  CHECK(log.end == second);
  CHECK(first < second);
  CHECK(Wal::FlushPosition() == second);
}

TEST_CASE("records of many sizes cross ring ends and segment ends whole") {
  LogWorld world(256 * 1024);
  std::vector<std::string> put;
  uint64_t bytes = 0;
  for (uint32_t i = 0; bytes < 2 * kSegmentBytes + kSegmentBytes / 2; ++i) {
    const size_t size = (i * 7919u) % (kMaxWalRecordBytes - sizeof(WalRecordHeader) + 1);
    put.push_back(std::string(size, static_cast<char>('a' + i % 26)));
    Insert(put.back());
    bytes += size;
  }
  REQUIRE(Wal::FlushAll().ok());
  CHECK(SegmentOf(Wal::InsertPosition()) >= 3);
  const Log log = ReadLog();
  CHECK(log.texts == put);
  CHECK(log.end == Wal::InsertPosition());
  // Every segment can be read by itself.
  CHECK(ReadLog(2 * kSegmentBytes).texts.size() > 10);
}

TEST_CASE("the log goes on after a crash where its last valid record ends") {
  LogWorld world;
  Insert("kept");
  REQUIRE(Wal::FlushAll().ok());
  const Lsn end = ReadLog().end;
  world.Start(2, end);
  Insert("after");
  REQUIRE(Wal::FlushAll().ok());
  CHECK(ReadLog().texts == std::vector<std::string>{"kept", "after"});
}

TEST_CASE("a damaged record ends the log and names its place") {
  LogWorld world;
  Insert("one");
  const Lsn end_of_one = Insert("two");
  Insert("three");
  REQUIRE(Wal::FlushAll().ok());
  Overwrite(world.PathOf(1), SegmentOffset(end_of_one) + sizeof(WalRecordHeader), "T");
  const Log log = ReadLog();
  CHECK(log.texts == std::vector<std::string>{"one", "two"});
  CHECK(log.end == end_of_one);
  CHECK(log.end_reason.find("checksum mismatch") != std::string::npos);
  CHECK(log.end_reason.find(fmt::format("{:#x}", end_of_one)) != std::string::npos);
}

TEST_CASE(
    "a valid record of an earlier start behind the new end is not taken for part of the log") {
  LogWorld world;
  const Lsn end_of_a = Insert("a");
  Insert("old");
  Insert("older life, valid checksum, same place");
  REQUIRE(Wal::FlushAll().ok());
  // As if only `a` had survived: the next life writes a record of equal length over `old`.
  world.Start(2, end_of_a);
  Insert("new");
  REQUIRE(Wal::FlushAll().ok());
  const Log log = ReadLog();
  CHECK(log.texts == std::vector<std::string>{"a", "new"});
  CHECK(log.end_reason.find("earlier start") != std::string::npos);
}

TEST_CASE("a recycled segment's old records are not read at their new place") {
  LogWorld world;
  const std::string big(kMaxWalRecordBytes - 100, 'x');
  while (SegmentOf(Wal::InsertPosition()) < 2) Insert(big);
  REQUIRE(Wal::FlushAll().ok());
  const Result<uint32_t> gone = WalSegments::RemoveBefore(2, 4);
  REQUIRE(gone.ok());
  CHECK(*gone == 1);
  const Result<std::vector<uint64_t>> present = WalSegments::List();
  REQUIRE(present.ok());
  CHECK(*present == std::vector<uint64_t>{2, 3});
  while (SegmentOf(Wal::InsertPosition()) < 3) Insert("small");
  REQUIRE(Wal::FlushAll().ok());
  CHECK(ReadLog(2 * kSegmentBytes).end == Wal::InsertPosition());
}

TEST_CASE("segments are recycled as far as the log is to grow, and no further") {
  LogWorld world;
  const std::string big(kMaxWalRecordBytes - 100, 'x');
  while (SegmentOf(Wal::InsertPosition()) < 5) Insert(big);
  REQUIRE(Wal::FlushAll().ok());
  const auto segments_after = [](uint64_t keep_from, uint64_t bytes_ahead) {
    REQUIRE(Wal::RemoveSegmentsBefore(keep_from, bytes_ahead).ok());
    return WalSegments::List().value();
  };
  // For what is to come within the one in use, one is ready.
  CHECK(segments_after(3, 0) == std::vector<uint64_t>{3, 4, 5, 6});
  CHECK(segments_after(4, kSegmentBytes) == std::vector<uint64_t>{4, 5, 6, 7});
  CHECK(segments_after(5, kSegmentBytes) == std::vector<uint64_t>{5, 6, 7});
}

TEST_CASE("a segment that cannot be made is an error before anything is inserted") {
  LogWorld world;
  const std::string big(kMaxWalRecordBytes - 100, 'x');
  while (SegmentOffset(Wal::InsertPosition()) < kSegmentBytes - 2 * kMaxWalRecordBytes) Insert(big);
  REQUIRE(Wal::FlushAll().ok());
  const Lsn before = Wal::InsertPosition();
  WalSegments::Bind("/nonexistent/wal");
  Error error;
  for (int i = 0; i < 4 && error.message.empty(); ++i) {
    const Result<Lsn> end = TryInsert(big);
    if (!end.ok()) error = end.error();
  }
  CHECK(error.message.find("/nonexistent/wal") != std::string::npos);
  CHECK(SegmentOf(Wal::InsertPosition()) == SegmentOf(before));
  CHECK(HeldLockCount() == 0);
}

TEST_CASE("a failed write stops the log for good") {
  LogWorld world;
  Insert("durable");
  REQUIRE(Wal::FlushAll().ok());
  Insert("never durable");
  WalSegments::Bind("/nonexistent/wal");
  CHECK_FALSE(Wal::FlushAll().ok());
  const Status again = Wal::FlushAll();
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::kIo);
  const Result<WalInsertion> insertion = WalInsertion::Begin(10);
  CHECK_FALSE(insertion.ok());
}

// Every actor inserts and flushes by turns; all that was acknowledged must be read back, each
// actor's in its order.
void ManyWriters(int actors, int records) {
  LogWorld world(512 * 1024);
  Segment::Locks();
  CHECK(RunActors(test::ActorForm::kProcesses, actors, [&](int who) {
    Segment::BindProcess(static_cast<SlotIndex>(who + 1));
    for (int i = 0; i < records; ++i) {
      const Lsn end = Insert(
          fmt::format("{} {} {}", who, i, std::string(static_cast<size_t>(i * 37 % 3000), '.')));
      if (i % 8 == 7 && !Wal::Flush(end).ok()) return false;
      if (Wal::FlushPosition() < (i % 8 == 7 ? end : 0)) return false;
    }
    return Wal::FlushAll().ok();
  }));
  std::map<std::string, int> next;
  for (const std::string& text : ReadLog().texts) {
    const size_t space = text.find(' ');
    const std::string who = text.substr(0, space);
    CHECK(std::stoi(text.substr(space + 1)) == next[who]++);
  }
  CHECK(next.size() == static_cast<size_t>(actors));
  for (const auto& [who, count] : next) CHECK(count == records);
}

TEST_CASE("many processes insert and flush at once without losing or mixing a record") {
  ManyWriters(6, test::FullForm() ? 20000 : 2000);
}

TEST_CASE("a flusher killed at work is repaired and its successor writes the same bytes again") {
  LogWorld world;
  const Lsn end = Insert("mine");
  RegisterWalRepairs();
  // The child dies inside the flush lock, having said that it wrote what it did not write.
  test::Child child([&]() NO_THREAD_SAFETY_ANALYSIS {
    Segment::BindProcess(1);
    AcquireExclusive(Segment::WalFlushLock());
    Segment::Wal().write.store(end);
    raise(SIGKILL);
    return false;
  });
  REQUIRE(child.WasKilled());
  REQUIRE(ReleaseLocksOfDead(Segment::Locks(), Segment::Procs()[1].locks, 1));
  REQUIRE(Wal::Flush(end).ok());
  CHECK(ReadLog().texts == std::vector<std::string>{"mine"});
}

}  // namespace
}  // namespace warren

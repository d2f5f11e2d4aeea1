// Where a restored log ends.
#include "storage/log_end.h"

#include <doctest/doctest.h>

#include "base/clock.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_reader.h"
#include "storage/wal_segments.h"
#include "storage/wal_time.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

LogEnd MustFind(const LogTarget& target, Lsn start = kFirstLsn) {
  MustSucceed(Wal::FlushAll());
  const auto end = FindLogEnd(start, target, [](uint64_t) -> Result<bool> { return false; });
  REQUIRE_MESSAGE(end.ok(), end.error().message);
  return *end;
}

LogTarget At(Lsn lsn) { return {.lsn = lsn, .time_us = {}}; }
LogTarget Then(int64_t time_us) { return {.lsn = {}, .time_us = time_us}; }

// Longer than one step of the time in the log.
void LetTimePass() {
  const int64_t end_us = WallClockUs() + 2 * kTimeMarkEveryUs;
  REQUIRE(WaitFor([&] { return WallClockUs() >= end_us; }));
}

std::vector<int64_t> Marks() {
  MustSucceed(Wal::FlushAll());
  std::vector<int64_t> marks;
  WalReader reader(kFirstLsn);
  for (;;) {
    const auto record = reader.Next();
    REQUIRE(record.ok());
    if (!record->has_value()) return marks;
    if ((*record)->header.type == kTimeMark) marks.push_back(*TimeOf(**record));
  }
}

}  // namespace

TEST_CASE("a time mark goes before a change when none was made for a while, and only then") {
  StoreWorld world;
  const int64_t before_us = WallClockUs();
  Put("a", "1");
  CHECK(Marks().size() == 1);
  Put("b", "1");
  LetTimePass();  // an idle server marks nothing
  CHECK(Marks().size() <= 2);
  const size_t marks = Marks().size();
  Put("c", "1");
  CHECK(Marks().size() == marks + 1);
  // The coarse clock may be a tick behind.
  CHECK(Marks().front() >= before_us - 20'000);
  CHECK(Marks().back() <= WallClockUs());
}

TEST_CASE("a clock that was set back is marked at the next change") {
  StoreWorld world;
  Put("a", "1");
  Segment::Wal().time_marked_us = WallClockUs() + 3'600'000'000;
  Put("b", "1");
  CHECK(Marks().size() == 2);
}

TEST_CASE("the log ends at the last record that ends at the position or before") {
  StoreWorld world;
  Put("a", "1");
  const Lsn first = Wal::InsertPosition();
  Put("b", "1");
  const Lsn second = Wal::InsertPosition();
  CHECK(MustFind({}).end == second);
  CHECK_FALSE(MustFind({}).target_reached);
  CHECK(MustFind(At(first)).end == first);
  CHECK(MustFind(At(first)).target_reached);
  CHECK(MustFind(At(second - 8)).end == first);
  CHECK(MustFind(At(second)).end == second);
  CHECK_FALSE(MustFind(At(second)).target_reached);
  CHECK(MustFind(At(second + 8)).end == second);
}

TEST_CASE("a log cut off at a time has what was made before and not what began after a step") {
  StoreWorld world;
  Put("before", "1");
  const Lsn before = Wal::InsertPosition();
  LetTimePass();
  const int64_t time_us = WallClockUs();
  LetTimePass();
  Put("after", "1");
  const LogEnd end = MustFind(Then(time_us));
  CHECK(end.target_reached);
  CHECK(end.end == before);
  CHECK_FALSE(MustFind(Then(WallClockUs() + 1'000'000)).target_reached);
}

TEST_CASE("what is behind the end is gone, also in files behind it") {
  StoreWorld world;
  Put("kept", "1");
  const Lsn end = Wal::InsertPosition();
  Put("gone", "1");
  const std::string large(1 << 20, 'x');
  for (int i = 0; i < 17; ++i) Put("large", large);
  MustSucceed(Wal::FlushAll());
  CHECK(SegmentOf(Wal::InsertPosition()) > SegmentOf(end));
  MustSucceed(CutLog(end));
  CHECK(WalSegments::List().value() == std::vector<uint64_t>{SegmentOf(end)});
  world.Stop();
  world.Start();
  CHECK(Get("kept") == "1");
  CHECK_FALSE(Get("gone").has_value());
  CHECK_FALSE(Get("large").has_value());
  CHECK(Wal::InsertPosition() == end);
  MustSucceed(Store::Check());
}

TEST_CASE("a segment is asked for when the one before is whole, and read on") {
  StoreWorld world;
  const std::string large(1 << 20, 'x');
  for (int i = 0; i < 17; ++i) Put("large", large);
  MustSucceed(Wal::FlushAll());
  const Lsn end = Wal::InsertPosition();
  const std::string second = world.path() + "/wal/" + WalSegmentName(2);
  const std::string hidden = world.path() + "/hidden";
  std::filesystem::rename(second, hidden);
  std::vector<uint64_t> asked;
  const auto found = FindLogEnd(kFirstLsn, {}, [&](uint64_t segment_no) -> Result<bool> {
    asked.push_back(segment_no);
    std::filesystem::rename(hidden, second);
    return true;
  });
  REQUIRE(found.ok());
  CHECK(asked == std::vector<uint64_t>{2});
  CHECK(found->end == end);
  std::filesystem::rename(second, hidden);
  CHECK(MustFind({}).end <= 2 * kSegmentBytes);
  CHECK(MustFind({}).end > 2 * kSegmentBytes - sizeof(WalRecordHeader));
  std::filesystem::rename(hidden, second);
}

TEST_CASE("filling a segment up completes it with its last change's time, and an empty one stays") {
  StoreWorld world;
  Put("a", "1");
  const Lsn change = Wal::InsertPosition();
  MustSucceed(FillSegment());
  const Lsn full = Wal::InsertPosition();
  CHECK(SegmentOf(change) == 1);
  CHECK(full >= 2 * kSegmentBytes - sizeof(WalRecordHeader));
  CHECK(full <=
        2 * kSegmentBytes + kSegmentStartRecordBytes + sizeof(WalRecordHeader) + sizeof(TimeMark));
  MustSucceed(FillSegment());
  if (SegmentOffset(full) == 0) CHECK(Wal::InsertPosition() == full);
  Put("b", "2");
  MustSucceed(Wal::FlushAll());
  world.Stop();
  world.Start();
  CHECK(Get("a") == "1");
  CHECK(Get("b") == "2");
  MustSucceed(Store::Check());
}

TEST_CASE("a log file is told from one with another number, of another store, or made ahead") {
  StoreWorld world;
  Put("a", "1");
  MustSucceed(Wal::FlushAll());
  std::vector<std::byte> bytes(4096);
  REQUIRE(WalSegments::Read(kFirstLsn, bytes.data(), bytes.size()).ok());
  const auto identity = IdentifySegment(bytes, 1);
  REQUIRE(identity.has_value());
  CHECK(identity->system_id == Wal::GetIdentity().system_id);
  CHECK(identity->start_count == Wal::GetIdentity().start_count);
  CHECK_FALSE(IdentifySegment(bytes, 2).has_value());
  CHECK_FALSE(IdentifySegment(std::vector<std::byte>(4096), 1).has_value());
  CHECK_FALSE(IdentifySegment(std::span(bytes).first(40), 1).has_value());
}

}  // namespace warren::test

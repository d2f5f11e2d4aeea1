// Atomic page changes, whole or not at all.
#include "storage/mini_transaction.h"

#include <doctest/doctest.h>

#include <vector>

#include "storage/page_space.h"
#include "storage/tree.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

struct Snapshot {
  std::byte bytes[kPageBytes];
  explicit Snapshot(const std::byte* page) { std::memcpy(bytes, page, kPageBytes); }
  // Equal where the page's bytes mean something.
  bool SameAs(const std::byte* page) const {
    const PageHeader& header = HeaderOf(bytes);
    return std::memcmp(bytes, page, header.lower) == 0 &&
           std::memcmp(bytes + header.upper, page + header.upper, kPageBytes - header.upper) == 0;
  }
};

MiniTransactionArea& OwnArea() { return MiniTransactionAreaOf(ProcArray::SelfOwner().slot); }

PageNo RootOf(uint32_t database) {
  const auto entry = ReadCatalogEntry(database);
  REQUIRE(entry.ok());
  return entry.value().root;
}

}  // namespace

TEST_CASE("a change whose record is in the log is made again after its pages were put back") {
  StoreWorld world;
  Put("a", "1");
  Put("b", "2");
  auto page = BufferCache::GetExclusive(RootOf(0));
  REQUIRE(page.ok());
  const Snapshot before(page->bytes());
  page->Release();
  Put("a", "changed and longer");
  page = BufferCache::GetExclusive(RootOf(0));
  const Snapshot after(page->bytes());
  MiniTransactionArea& area = OwnArea();
  CHECK(area.armed.load() == 0);
  REQUIRE(area.end.load() != 0);

  RestoreBeforeImage(area, 0, page->bytes());
  CHECK(before.SameAs(page->bytes()));
  area.armed.store(1);
  RepairArmedArea(area, [&](BufferIndex buffer) {
    CHECK(buffer == page->buffer());
    return page->bytes();
  });
  CHECK(area.armed.load() == 0);
  CHECK(after.SameAs(page->bytes()));
}

TEST_CASE("a change cut off after any of its pages is taken back or finished, as the log has it") {
  StoreWorld world;
  for (int i = 0; i < 500; ++i) Put(fmt::format("k{:04}", i), std::string(100, 'v'));
  MiniTransactionArea& area = OwnArea();
  const RecordView record(area.record.data());
  for (int i = 499; record.header().type != RecordType::kUnlinkLeaf; --i) {
    REQUIRE(i > 0);
    REQUIRE(Erase(fmt::format("k{:04}", i)));
  }
  const Lsn lsn = area.end.load();
  REQUIRE(area.page_count == 4);
  std::vector<Snapshot> before;
  std::vector<Snapshot> after;
  for (size_t i = 0; i < area.page_count; ++i) {
    auto page = BufferCache::GetShared(area.pages[i].ref.page_no);
    REQUIRE(page.ok());
    after.emplace_back(page->bytes());
    before.emplace_back(page->bytes());
    RestoreBeforeImage(area, i, before.back().bytes);
    CHECK_FALSE(before.back().SameAs(after.back().bytes));
  }
  for (size_t applied = 0; applied <= area.page_count; ++applied) {
    for (const bool in_log : {false, true}) {
      std::vector<Snapshot> pages;
      for (size_t i = 0; i < area.page_count; ++i) {
        pages.push_back(i < applied ? after[i] : before[i]);
      }
      area.end.store(in_log ? lsn : 0);
      area.armed.store(1);
      RepairArmedArea(area, [&](BufferIndex buffer) {
        size_t i = 0;
        while (area.pages[i].buffer != buffer) ++i;
        return pages[i].bytes;
      });
      CHECK(area.armed.load() == 0);
      for (size_t i = 0; i < area.page_count; ++i) {
        CHECK((in_log ? after : before)[i].SameAs(pages[i].bytes));
      }
    }
  }
}

TEST_CASE("every record applied to its before-images gives the pages as they are") {
  StoreWorld world;
  std::string kinds;
  // Each Put's and Erase's last record: restored and applied again, on copies.
  const auto check_last = [&] {
    MiniTransactionArea& area = OwnArea();
    const RecordView record(area.record.data());
    const std::string name(RecordTypeName(record.header().type));
    if (kinds.find(name) == std::string::npos) kinds += name + ";";
    CHECK(DescribeRecord(record, area.end.load()).find(name) != std::string::npos);
    for (size_t i = 0; i < area.page_count; ++i) {
      auto page = BufferCache::GetShared(area.pages[i].ref.page_no);
      REQUIRE(page.ok());
      Snapshot redone(page->bytes());
      RestoreBeforeImage(area, i, redone.bytes);
      ApplyRecord(record, area.pages[i].ref, redone.bytes, area.end.load());
      REQUIRE(redone.SameAs(page->bytes()));
    }
  };
  for (int i = 0; i < 1500; ++i) {
    Put(fmt::format("k{:05}", i * 7 % 1500), std::string(static_cast<size_t>(i % 300), 'v'));
    check_last();
  }
  Put("large", std::string(20'000, 'x'));
  check_last();
  Put("large", std::string(30'000, 'y'));
  check_last();
  for (int i = 0; i < 1500; ++i) {
    CHECK(Erase(fmt::format("k{:05}", i)));
    check_last();
  }
  MustSucceed(Store::Flush(0));
  check_last();
  for (const char* kind : {"leaf put", "leaf erase", "unlink leaf", "free pages"}) {
    CHECK_MESSAGE(kinds.find(kind) != std::string::npos, kind);
  }
}

TEST_CASE("a record of a map page that was never written makes it one") {
  const PageNo map_page_no = MapPageOfGroup(3);
  alignas(8) std::byte record[256] = {};
  auto& header = *reinterpret_cast<RecordHeader*>(record);
  header.type = RecordType::kFreePages;
  header.page_count = 1;
  header.map_change_count = 1;
  const PageRef ref{map_page_no, PageRole::kMap, 0};
  const MapChange change{map_page_no + 20, PageState::kUsed};
  std::memcpy(record + sizeof header, &ref, sizeof ref);
  std::memcpy(record + sizeof header + sizeof ref, &change, sizeof change);
  alignas(8) std::byte page[kPageBytes] = {};
  ApplyRecord(RecordView(record), ref, page, 4711);
  const auto& map = *reinterpret_cast<const MapPage*>(page);
  CHECK(map.page.type == PageType::kMap);
  CHECK(map.page.page_no == map_page_no);
  CHECK(map.page.lsn == 4711);
  CHECK(GetPageState(map, map_page_no + 20) == PageState::kUsed);
  CHECK(GetPageState(map, map_page_no + 21) == PageState::kFree);
}

}  // namespace warren::test

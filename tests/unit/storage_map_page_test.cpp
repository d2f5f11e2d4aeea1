// The allocation map.
#include "storage/map_page.h"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <vector>

namespace warren::test {

TEST_CASE("a never written map page reads as one in which only fixed pages are used") {
  for (const uint32_t group : {0u, 1u, 5u}) {
    const PageNo map_page_no = MapPageOfGroup(group);
    const auto untouched = std::make_unique<MapPage>();
    const auto made = std::make_unique<MapPage>();
    InitMapPage(*made, map_page_no);
    for (PageNo page_no = map_page_no - 1; MapGroupOf(page_no) == group; ++page_no) {
      REQUIRE(GetPageState(*untouched, page_no) == GetPageState(*made, page_no));
      REQUIRE((GetPageState(*made, page_no) == PageState::kUsed) == IsFixedPage(page_no));
    }
    CHECK(FindFreePage(*untouched, map_page_no) == FindFreePage(*made, map_page_no));
    CHECK(FindPendingPage(*untouched, map_page_no, 0) == std::nullopt);
  }
}

TEST_CASE("every fixed page is known as such and no other one") {
  CHECK(IsFixedPage(0));
  CHECK(IsFixedPage(1));
  CHECK(IsFixedPage(kFirstFreePage - 1));
  CHECK_FALSE(IsFixedPage(kFirstFreePage));
  CHECK_FALSE(IsFixedPage(kPagesPerMap));
  CHECK(IsFixedPage(kPagesPerMap + 1));
  CHECK(MapPageOf(kPagesPerMap) == kPagesPerMap + 1);
  CHECK(MapPageOf(kPagesPerMap - 1) == 1);
}

TEST_CASE("random changes of state agree with a model, hints and counts included") {
  constexpr uint32_t kGroup = 1;
  const PageNo map_page_no = MapPageOfGroup(kGroup);
  const PageNo first = map_page_no - 1;
  const auto map = std::make_unique<MapPage>();
  constexpr uint32_t kSome = 300;
  std::vector<PageState> model(kSome, PageState::kFree);
  model[1] = PageState::kUsed;
  std::mt19937 random(17);
  for (int i = 0; i < 20'000; ++i) {
    const PageNo page_no = first + static_cast<PageNo>(random() % kSome);
    if (IsFixedPage(page_no)) continue;
    const auto state = static_cast<PageState>(random() % 4);
    SetPageState(*map, page_no, state);
    model[page_no - first] = state;
    const auto from = static_cast<uint32_t>(random() % kSome);
    uint32_t free = from;
    while (free < kSome && model[free] != PageState::kFree) ++free;
    const auto found_free = FindFreePage(*map, map_page_no, first + from);
    REQUIRE(found_free == first + free);
    uint32_t pending = from;
    const auto is_pending = [&](uint32_t at) {
      return model[at] == PageState::kPendingPage || model[at] == PageState::kPendingChain;
    };
    while (pending < kSome && !is_pending(pending)) ++pending;
    const auto found_pending = FindPendingPage(*map, map_page_no, first + from);
    REQUIRE(found_pending.has_value() == (pending < kSome));
    if (found_pending) REQUIRE(*found_pending == first + pending);
  }
  uint32_t pending_count = 0;
  for (uint32_t i = 0; i < kSome; ++i) {
    CHECK(GetPageState(*map, first + i) == model[i]);
    if (static_cast<uint32_t>(model[i]) >= 2) ++pending_count;
  }
  CHECK(map->pending_count == pending_count);
}

TEST_CASE("a group with no free page says so") {
  const auto map = std::make_unique<MapPage>();
  const PageNo map_page_no = MapPageOfGroup(0);
  for (PageNo page_no = 0; page_no < kPagesPerMap; ++page_no) {
    if (!IsFixedPage(page_no)) SetPageState(*map, page_no, PageState::kUsed);
  }
  CHECK(FindFreePage(*map, map_page_no) == std::nullopt);
  SetPageState(*map, kPagesPerMap - 1, PageState::kFree);
  CHECK(FindFreePage(*map, map_page_no) == kPagesPerMap - 1);
}

}  // namespace warren::test

// Cells in a tree page.
#include "storage/node.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <random>
#include <string>

namespace warren::test {
namespace {

struct Page {
  alignas(8) std::byte bytes[kPageBytes] = {};
  explicit Page(uint16_t level = 0) { InitNode(bytes, 7, 0, 0, level); }
  NodeView view() const { return NodeView(bytes); }
};

// Writes a leaf cell as a record would.
void PutCell(Page& page, const std::string& key, const std::string& value) {
  const NodeView node = page.view();
  const uint32_t slot = node.LowerBound(key);
  const bool replace = slot < node.count() && node.Key(slot) == key;
  std::string cell(kLeafCellHeaderBytes, '\0');
  auto* header = reinterpret_cast<std::byte*>(cell.data());
  StoreUnaligned(header + 2, static_cast<uint16_t>(key.size()));
  StoreUnaligned(header + 4, static_cast<uint16_t>(value.size()));
  cell += key + value;
  std::byte* to = PlaceCell(page.bytes, slot, replace, static_cast<uint32_t>(cell.size()), key);
  std::memcpy(to, cell.data(), cell.size());
}

bool HasRoom(const Page& page, const std::string& key, size_t value_bytes) {
  const NodeView node = page.view();
  const uint32_t slot = node.LowerBound(key);
  const bool replace = slot < node.count() && node.Key(slot) == key;
  const auto bytes = static_cast<uint32_t>(kLeafCellHeaderBytes + key.size() + value_bytes);
  return PlanCell(node, slot, replace, bytes) != Placement::kNoRoom;
}

}  // namespace

TEST_CASE("keys are ordered bytewise and a prefix comes first") {
  const std::string_view in_order[] = {std::string_view("\0", 1),
                                       "a",
                                       "aaaaaaaa",
                                       "aaaaaaaab",
                                       "aaaaaaab",
                                       "ab",
                                       "b",
                                       "\x7f",
                                       "\x80",
                                       "\xff"};
  for (size_t i = 0; i < std::size(in_order); ++i) {
    CHECK(CompareKeys(in_order[i], in_order[i]) == 0);
    CHECK(CompareKeys("", in_order[i]) < 0);
    for (size_t j = i + 1; j < std::size(in_order); ++j) {
      CHECK(CompareKeys(in_order[i], in_order[j]) < 0);
      CHECK(CompareKeys(in_order[j], in_order[i]) > 0);
    }
  }
}

TEST_CASE("a leaf under random puts and erases holds what a map holds") {
  Page page;
  SetHighKey(page.bytes, "zzzz");
  std::map<std::string, std::string> model;
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = fmt::format("k{}", random() % 120);
    if (random() % 3 == 0) {
      const auto [slot, stored] = page.view().Locate(key, static_cast<uint32_t>(random() % 130));
      REQUIRE(stored == model.contains(key));
      if (stored) EraseCell(page.bytes, slot);
      model.erase(key);
    } else {
      const std::string value(random() % 200, static_cast<char>('a' + i % 26));
      if (!HasRoom(page, key, value.size())) continue;
      PutCell(page, key, value);
      model[key] = value;
    }
    const auto fault = page.view().FindFault();
    REQUIRE_MESSAGE(!fault.has_value(), *fault);
  }
  REQUIRE(page.view().count() == model.size());
  uint32_t slot = 0;
  for (const auto& [key, value] : model) {
    CHECK(page.view().Key(slot) == key);
    CHECK(page.view().Leaf(slot++).inline_value() == value);
  }
  CHECK(page.view().high_key() == "zzzz");
}

TEST_CASE("a full leaf without a cell left is as roomy as a new one after compaction") {
  Page page;
  const uint32_t roomy = page.view().TotalFreeBytes();
  int n = 0;
  while (HasRoom(page, fmt::format("{:04}", n), 50)) {
    PutCell(page, fmt::format("{:04}", n++), std::string(50, 'v'));
  }
  CHECK(n > 100);
  while (page.view().count() > 0) EraseCell(page.bytes, page.view().count() / 2);
  CHECK(page.view().TotalFreeBytes() == roomy);
  PutCell(page, "big", std::string(1900, 'x'));  // does not fit without compaction
  CHECK(page.view().Leaf(0).inline_value() == std::string(1900, 'x'));
}

TEST_CASE("three of the largest cells and the largest high key fit into a leaf") {
  Page page;
  SetHighKey(page.bytes, std::string(kNodeKeyBytesLimit, 'z'));
  for (int i = 0; i < 3; ++i) {
    const std::string key = std::string(kNodeKeyBytesLimit - 1, 'k') + std::to_string(i);
    const size_t value_bytes = kMaxCellBytes - kLeafCellHeaderBytes - key.size();
    REQUIRE(HasRoom(page, key, value_bytes));
    PutCell(page, key, std::string(value_bytes, 'v'));
  }
  CHECK_FALSE(page.view().FindFault().has_value());
}

TEST_CASE("a search finds every key's place whatever the keys have in common") {
  std::mt19937 random(7);
  const std::string prefixes[] = {
      "", "key:", "key:0000", "key:00001234", "kez", std::string(3, '\0')};
  for (int round = 0; round < 200; ++round) {
    Page page;
    std::map<std::string, std::string> model;
    for (int step = 0; step < 120; ++step) {
      std::string key = prefixes[random() % (1 + static_cast<size_t>(round) % std::size(prefixes))];
      for (size_t n = random() % 7; n > 0; --n) key += "\0ab\xff"[random() % 4];
      const NodeView node = page.view();
      CHECK(node.LowerBound(key) ==
            static_cast<uint32_t>(std::distance(model.begin(), model.lower_bound(key))));
      const auto guess = static_cast<uint32_t>(random() % (node.count() + 2));
      const auto [slot, stored] = node.Locate(key, guess);
      CHECK(slot == node.LowerBound(key));
      CHECK(stored == model.contains(key));
      if (stored && random() % 3 == 0) {
        EraseCell(page.bytes, slot);
        model.erase(key);
      } else if (HasRoom(page, key, 20)) {
        PutCell(page, key, std::string(random() % 20, 'v'));
        model[key] = "";
      }
      if (random() % 40 == 0) {
        const uint32_t keep = page.view().count() / 2;
        TruncateCells(page.bytes, keep);
        model.erase(std::next(model.begin(), keep), model.end());
      }
      const auto fault = page.view().FindFault();
      REQUIRE_MESSAGE(!fault.has_value(), std::string(fault.value_or("")));
    }
  }
}

TEST_CASE("an inner page leads each key to the child whose range holds it") {
  Page page(1);
  AppendInnerCell(page.bytes, "", 10);
  AppendInnerCell(page.bytes, "f", 11);
  AppendInnerCell(page.bytes, "m", 12);
  const auto child = [&](SearchTarget target) {
    return page.view().Child(page.view().ChildSlot(target));
  };
  CHECK(child({SearchTarget::kAt, ""}) == 10);
  CHECK(child({SearchTarget::kAt, "e"}) == 10);
  CHECK(child({SearchTarget::kAt, "f"}) == 11);
  CHECK(child({SearchTarget::kAt, "fa"}) == 11);
  CHECK(child({SearchTarget::kAt, "z"}) == 12);
  CHECK(child({SearchTarget::kBefore, "f"}) == 10);
  CHECK(child({SearchTarget::kBefore, "fa"}) == 11);
  CHECK(child({SearchTarget::kEnd, {}}) == 12);
}

TEST_CASE("a search at or before the high key moves right exactly when it must") {
  Page page;
  CHECK_FALSE(page.view().MustMoveRight({SearchTarget::kAt, "x"}));
  CHECK_FALSE(page.view().MustMoveRight({SearchTarget::kEnd, {}}));
  SetHighKey(page.bytes, "m");
  CHECK_FALSE(page.view().MustMoveRight({SearchTarget::kAt, "l"}));
  CHECK(page.view().MustMoveRight({SearchTarget::kAt, "m"}));
  CHECK_FALSE(page.view().MustMoveRight({SearchTarget::kBefore, "m"}));
  CHECK(page.view().MustMoveRight({SearchTarget::kBefore, "n"}));
  CHECK(page.view().MustMoveRight({SearchTarget::kEnd, {}}));
}

TEST_CASE("a node whose bytes do not add up is found out") {
  Page page;
  PutCell(page, "a", "1");
  PutCell(page, "b", "2");
  CHECK_FALSE(page.view().FindFault().has_value());
  auto& node = *reinterpret_cast<NodeHeader*>(page.bytes);
  SUBCASE("slot count") { node.slot_count = 9; }
  SUBCASE("free bounds") { node.page.upper = 20; }
  SUBCASE("dead bytes") { node.dead_bytes = 5; }
  SUBCASE("slot outside") { StoreUnaligned<uint16_t>(page.bytes + sizeof(NodeHeader), 8190); }
  SUBCASE("order") {
    std::byte* slots = page.bytes + sizeof(NodeHeader);
    const auto first = LoadUnaligned<uint16_t>(slots);
    StoreUnaligned(slots, LoadUnaligned<uint16_t>(slots + 2));
    StoreUnaligned(slots + 2, first);
  }
  SUBCASE("high key below a key") { SetHighKey(page.bytes, "a"); }
  CHECK(page.view().FindFault().has_value());
}

}  // namespace warren::test

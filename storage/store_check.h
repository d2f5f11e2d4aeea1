// Is everything in the data file where it should be?
//
// Verifies (the numbers are those of README.md, "Invariants"): order, ranges, links and levels of
// every tree; each chain's length; that every page is used by exactly one thing, free, or garbage,
// as the allocation map says; the counts of keys.
//
// Locking: shared locks, one or two at a time. For quiet moments: changes made meanwhile look like
// faults.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "storage/page.h"

namespace warren {

struct StoreTotals {
  uint64_t free_pages = 0;
  uint64_t used_pages = 0;     // fixed pages included
  uint64_t pending_pages = 0;  // garbage: heads and all that hangs on them
};

class StoreChecker {
 public:
  // The first thing that is wrong, as kCorrupt.
  Status Run();
  const StoreTotals& totals() const { return totals_; }

 private:
  enum class Use : uint8_t { kNone, kUsed, kGarbageHead, kGarbage };

  // A page that is expected on a level: its number and low key.
  struct Expected {
    PageNo page_no;
    std::string low;
  };
  struct Level {
    uint32_t database;
    uint32_t incarnation;
    uint32_t level;
    PageNo root;  // of the tree
    std::vector<Expected> pages;
  };

  Status CheckDatabase(uint32_t database);
  Status CheckLevel(const Level& level, std::vector<Expected>& children);
  Status CheckNode(const Level& level, PageNo page_no, const std::string& low,
                   std::vector<Expected>& children, std::string& high, PageNo& right,
                   bool& incomplete);
  Status CheckLeafCells(const std::byte* page, Use use, bool count);
  Status CheckChain(PageNo head, uint64_t bytes, Use use);
  Status CheckGarbage();
  Status CheckGarbageChain(PageNo head);
  Status CheckGarbageTree(PageNo head);
  Status CheckMap();
  Status CheckMapPage(PageNo map_page_no);
  Status Mark(PageNo page_no, Use use);

  std::vector<Use> uses_;
  StoreTotals totals_;
  uint64_t keys_ = 0;
  uint64_t expires_ = 0;
};

}  // namespace warren

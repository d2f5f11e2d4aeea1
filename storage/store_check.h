// Is everything in the data file where it should be?
//
// Verifies (the numbers are those of README.md, "Invariants"): order, ranges, links and levels of
// every tree; each chain's length; that every page is used by exactly one thing, free, or garbage,
// as the allocation map says; the counts of keys.
//
// Goes on behind a fault: a page that can't be followed leaves a gap, behind which the walk goes on
// where the level above says. What a gap may explain (a page that nothing leads to, fewer keys than
// counted) is not called a fault then.
//
// Locking: shared locks, one or two at a time. For quiet moments: changes made meanwhile look like
// faults. While others work: live_check.h.
#pragma once

#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"
#include "shmem/buffer_cache.h"
#include "storage/fault_list.h"
#include "storage/page.h"

namespace warren {

struct StoreTotals {
  uint64_t free_pages = 0;
  uint64_t used_pages = 0;     // fixed pages included
  uint64_t pending_pages = 0;  // garbage: heads and all that hangs on them
  uint64_t keys = 0;
  uint64_t trees = 0;
};

class StoreChecker {
 public:
  // The first thing that is wrong, as kCorrupt.
  Status Run();
  // Everything that is wrong. `keep_going` is asked between pages, with nothing locked. Errors say
  // why the check could not be made to its end: kBusy, kNoSpace (of buffers), kShutdown (told to
  // stop).
  Status Run(FaultList& faults, FunctionRef<bool()> keep_going);

  const StoreTotals& totals() const { return totals_; }

 private:
  enum class Use : uint8_t { kNone, kUsed, kGarbageHead, kGarbage };

  // A page that is expected on a level: its number and low key.
  struct Expected {
    PageNo page_no;
    std::string low;
    bool behind_gap;  // others may come before it that are not known
  };
  struct Level {
    uint32_t database;
    uint32_t incarnation;
    uint32_t level;
    PageNo root;  // of the tree
    std::vector<Expected> pages;
    bool gap_at_end;
  };
  struct Node {
    std::string high;
    PageNo right;
    bool incomplete;
  };

  Status CheckDatabase(uint32_t database);
  Status CheckTree(uint32_t database, const CatalogEntry& entry);
  void CheckCounts(uint32_t database);
  Result<Level> CheckLevel(const Level& level);
  void CheckEntry(const Level& level, size_t& next, PageNo page_no, const std::string& low,
                  bool after_incomplete);
  Result<bool> CheckNode(const Level& level, PageNo page_no, const std::string& low, Level& below,
                         Node& node);
  bool IsSound(const Level& level, const SharedPage& page);
  Status CheckLeafCells(const SharedPage& page, Use use, bool count);
  Status CheckChain(PageNo head, uint64_t bytes, Use use);
  Status CheckGarbage();
  Status CheckGarbageChain(PageNo head);
  Status CheckGarbageTree(PageNo head);
  Result<PageNo> CheckGarbageLevel(PageNo head, PageNo first);
  Status CheckMapPage(PageNo map_page_no);
  void CheckMapEntry(const SharedPage& map_page, PageNo page_no);

  Status KeepGoing() const;
  // Not held if it can't be read, which is noted.
  Result<SharedPage> Look(PageNo page_no);
  // False: the page has a use already or can have none, which is noted.
  bool Mark(PageNo page_no, Use use);
  // Part of what should be there can't be reached.
  void NoteGap() { gap_ = gap_anywhere_ = true; }
  void Fault(PageNo page_no, uint32_t byte, std::string_view what) {
    faults_->AddPage(page_no, byte, what);
  }

  FaultList* faults_ = nullptr;
  const FunctionRef<bool()>* keep_going_ = nullptr;
  std::vector<Use> uses_;
  StoreTotals totals_;
  uint64_t keys_ = 0;  // of the database under way
  uint64_t expires_ = 0;
  bool gap_ = false;
  bool gap_anywhere_ = false;
};

}  // namespace warren

// Which page of a database's B+tree holds a key?
//
// Lehman-Yao: every node has a right link and a high key, so that a search that meets a node which
// was split meanwhile moves right, and holds one lock at a time. A node that was unlinked sends the
// search back to the root.
//
// Locking: page lock order is left before right, child before parent, tree before overflow before
// catalog before allocation map. All functions need a running Operation.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "shmem/buffer_cache.h"
#include "storage/leaf_hint.h"
#include "storage/node.h"

namespace warren {

// The lower bound of the node that a search arrived at: the last key of its entry on the way.
class LowKey {
 public:
  void Set(std::string_view key) { key_.assign(key); }
  std::string_view key() const { return key_; }

 private:
  std::string key_;
};

// The root, or a page not held if the database has no tree yet.
Result<SharedPage> GetRoot(uint32_t database);

// The node of `level` in whose range `target` lies, or a page not held if the tree has no such
// level.
Result<SharedPage> FindNodeShared(uint32_t database, uint32_t level, const SearchTarget& target,
                                  LowKey* low = nullptr);
Result<ExclusivePage> FindNodeExclusive(uint32_t database, uint32_t level,
                                        const SearchTarget& target);

// The leaf in whose range a key lies, and the key's place there.
template <typename Page>
struct FoundLeaf {
  Page page;
  KeySlot at;

  bool held() const { return page.held(); }
  NodeView node() const { return NodeView(page.bytes()); }
};

// By the key's hint (leaf_hint.h), without the nodes above, where that leads to the leaf. Not held
// if the database has no tree.
Result<FoundLeaf<SharedPage>> FindLeafShared(uint32_t database, std::string_view key);
Result<FoundLeaf<ExclusivePage>> FindLeafExclusive(uint32_t database, std::string_view key);

// The leaf that the key's hint leads to; not held if that is not the one. With kTry also if it is
// locked: then others may be held, in any order.
enum class HintWait : uint8_t { kWait, kTry };
FoundLeaf<ExclusivePage> FindHintedLeaf(const LeafHint& hint, uint32_t database,
                                        std::string_view key, HintWait wait);

// What a page must be, where a link led to it.
struct ExpectedNode {
  uint32_t database;
  uint32_t incarnation;
  uint32_t level;
};
inline ExpectedNode ExpectLike(const PageHeader& page, uint32_t level) {
  return {page.database, page.incarnation, level};
}
// kCorrupt if `page` is something else.
Status CheckIsNode(const PageHeader& page, PageNo page_no, const ExpectedNode& expected);

// A left half without an entry for its right one that a search of this process passed: where to
// find it again. Its split should be finished (tree_change.h).
struct IncompleteSplit {
  bool met = false;
  uint32_t database = 0;
  uint32_t level = 0;
  std::string high_key;
};
// The last one since the last call.
IncompleteSplit TakeIncompleteSplit();

// Forgets the roots that this process knows: they are of another data file.
void ForgetRoots();

// What the root was a moment ago; nothing if the database has no tree.
struct RootSeen {
  PageNo page_no;
  uint32_t level;
  uint32_t incarnation;
};
Result<std::optional<RootSeen>> LookAtRoot(uint32_t database);

// Whoever holds nodes of a level and searches the level above must know that the search locks none
// of them, and none to their left. So, before anything is held, LookAtRoot: the root must be of a
// higher level. (As long as its own split is not finished, it is one of the level. A tree gets
// higher, never lower; one that FLUSH has put in its place has other pages.) And then, since one of
// the nodes held may be what this process took for the root last:
void ForgetRoot(uint32_t database);

// Reads the database's row of the catalog.
Result<CatalogEntry> ReadCatalogEntry(uint32_t database);

}  // namespace warren

#include "storage/commit_plan.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>

#include "base/check.h"
#include "storage/node.h"
#include "storage/store.h"
#include "storage/tree.h"

namespace warren {
namespace {

LoggedChange AsLogged(const CommitOp& op) {
  return {.kind = op.kind,
          .database = op.database,
          .key = op.key,
          .value = op.kind == CommitOp::kPut ? op.value : std::string_view(),
          .expire_at_ms = op.expire_at_ms};
}

// A database without a tree is empty already, and must not be emptied by whoever makes the changes
// again: by then it may have the tree of this commit.
Status PlanEmptying(const CommitOp& op, std::vector<LoggedChange>& changes) {
  ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(op.database));
  if (entry.root == kNoPage) return {};
  LoggedChange change = AsLogged(op);
  change.incarnation = entry.incarnation;
  changes.push_back(change);
  return {};
}

// An op on a key, to be sorted: most comparisons end with the eight bytes behind what all keys
// have in common.
struct KeyedOp {
  const CommitOp* op;
  uint64_t head;

  bool HasKeyOf(const KeyedOp& other) const {
    return head == other.head && op->key == other.op->key && op->database == other.op->database;
  }
  // Of the same key the earlier op comes first: they are in one array.
  bool operator<(const KeyedOp& other) const {
    if (op->database != other.op->database) return op->database < other.op->database;
    if (head != other.head) return head < other.head;
    const int order = CompareKeys(op->key, other.op->key);
    return order != 0 ? order < 0 : op < other.op;
  }
};

uint64_t HeadOf(std::string_view key, size_t prefix_bytes) {
  std::byte head[8] = {};
  const size_t bytes = std::min(key.size() - prefix_bytes, sizeof head);
  if (bytes != 0) std::memcpy(head, key.data() + prefix_bytes, bytes);
  return __builtin_bswap64(LoadUnaligned<uint64_t>(head));
}

size_t CommonPrefix(const std::vector<KeyedOp>& keyed) {
  const std::string_view first = keyed.front().op->key;
  size_t bytes = first.size();
  for (const KeyedOp& one : keyed) {
    const std::string_view key = one.op->key;
    bytes = std::min(bytes, key.size());
    if (bytes == 0) break;
    if (std::memcmp(first.data(), key.data(), bytes) == 0) continue;
    bytes = static_cast<size_t>(std::ranges::mismatch(first, key).in1 - first.begin());
  }
  return bytes;
}

void SortByKey(std::vector<KeyedOp>& keyed) {
  if (keyed.empty()) return;
  const size_t prefix_bytes = CommonPrefix(keyed);
  for (KeyedOp& one : keyed) one.head = HeadOf(one.op->key, prefix_bytes);
  if (!std::ranges::is_sorted(keyed, std::less())) std::ranges::sort(keyed, std::less());
}

}  // namespace

Result<std::vector<LoggedChange>> PlanChanges(std::span<const CommitOp> ops) {
  std::vector<LoggedChange> changes;
  changes.reserve(ops.size());
  std::vector<KeyedOp> keyed;
  keyed.reserve(ops.size());
  for (const CommitOp& op : ops) {
    CHECK(op.key.size() <= kMaxKeyBytesLimit, "key of {} bytes", op.key.size());
    if (op.kind == CommitOp::kEmptyDatabase) {
      RETURN_IF_ERROR(PlanEmptying(op, changes));
    } else {
      keyed.push_back({&op, 0});
    }
  }
  SortByKey(keyed);
  for (size_t i = 0; i < keyed.size(); ++i) {
    const bool last = i + 1 == keyed.size() || !keyed[i].HasKeyOf(keyed[i + 1]);
    if (last) changes.push_back(AsLogged(*keyed[i].op));
  }
  return changes;
}

}  // namespace warren

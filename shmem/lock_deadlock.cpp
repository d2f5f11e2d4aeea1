#include "shmem/lock_deadlock.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/ordered_store.h"
#include "shmem/latch.h"
#include "shmem/lock_queue.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// All partitions, shared, in order.
class AllPartitions {
 public:
  AllPartitions() NO_THREAD_SAFETY_ANALYSIS {
    for (uint32_t i = 0; i < kLockPartitions; ++i) AcquireShared(PartitionLock(i));
  }
  ~AllPartitions() NO_THREAD_SAFETY_ANALYSIS {
    for (uint32_t i = kLockPartitions; i-- > 0;) ReleaseShared(PartitionLock(i));
  }
  AllPartitions(const AllPartitions&) = delete;
  AllPartitions& operator=(const AllPartitions&) = delete;
};

// Text of bounded length: nothing is allocated under the locks.
class CycleText {
 public:
  template <typename... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    const size_t room = kCycleTextBytes - 1 - used_;
    const auto result = fmt::format_to_n(text_ + used_, room, format, std::forward<Args>(args)...);
    used_ += std::min(room, result.size);
  }
  void AddTag(const LockTag& tag) {
    Add("{}", LockKindName(tag.kind));
    if (tag.kind == LockKind::kDatabase) return Add(" {}", tag.database);
    Add(" \"");
    for (const char c : tag.name) {
      if (c >= ' ' && c <= '~' && c != '"') {
        Add("{}", c);
      } else {
        Add("\\x{:02x}", static_cast<unsigned char>(c));
      }
    }
    Add("\"");
    if (tag.kind == LockKind::kKey) Add(" of database {}", tag.database);
  }
  std::string_view text() const { return {text_, used_}; }

 private:
  char text_[kCycleTextBytes] = {};
  size_t used_ = 0;
};

struct Waiting {
  SlotIndex slot = kNoSlot;
  LockEntry* entry = nullptr;
  uint32_t next = 0;  // the next entry of its chain to look at, + 1
};

enum class Colour : uint8_t { kWhite, kGrey, kBlack };

// A depth-first search through all that wait. Its memory is there before the locks are taken.
class Search {
 public:
  Search() : colours_(g_lock_pool.slots) { path_.reserve(g_lock_pool.slots); }

  // Under all locks. Each victim is taken for gone, then everything is looked at again: it may have
  // stood on several circles.
  void Run() noexcept {
    while (FindCycle()) MarkVictim();
  }

 private:
  // What the process of the slot waits for; null if for nothing, or if its wait is to end anyway.
  static LockEntry* WaitOf(SlotIndex slot) {
    const LockOwner& waiter = g_lock_pool.owners[slot];
    const uint32_t link = waiter.waits_on.load(std::memory_order_acquire);
    if (link == 0 || IsVictim(waiter)) return nullptr;
    LockEntry& entry = EntryAt(link - 1);
    const Owner owner = Unpack(entry.Owner());
    const Proc& proc = Segment::Procs()[slot];
    const bool alive = owner.slot == slot && owner.generation == proc.generation.load() &&
                       proc.life.load() != ProcLife::kDead;
    return alive && entry.Owner() != 0 && entry.State().waits() ? &entry : nullptr;
  }

  bool FindCycle() {
    std::fill(colours_.begin(), colours_.end(), Colour::kWhite);
    for (SlotIndex slot = 0; slot < g_lock_pool.slots; ++slot) {
      if (colours_[slot] != Colour::kWhite) continue;
      LockEntry* const entry = WaitOf(slot);
      if (entry != nullptr && FindCycleFrom(slot, entry)) return true;
    }
    return false;
  }

  // True: path_ from cycle_begin_ on is a circle.
  bool FindCycleFrom(SlotIndex slot, LockEntry* entry) {
    path_.clear();
    Enter(slot, entry);
    while (!path_.empty()) {
      const SlotIndex next = NextBlocker(path_.back());
      if (next == kNoSlot) {
        colours_[path_.back().slot] = Colour::kBlack;
        path_.pop_back();
        continue;
      }
      if (colours_[next] == Colour::kGrey) {
        cycle_begin_ = 0;
        while (path_[cycle_begin_].slot != next) ++cycle_begin_;
        return true;
      }
      LockEntry* const its_entry = WaitOf(next);
      if (its_entry != nullptr && colours_[next] == Colour::kWhite) Enter(next, its_entry);
    }
    return false;
  }

  void Enter(SlotIndex slot, LockEntry* entry) {
    colours_[slot] = Colour::kGrey;
    path_.push_back({slot, entry, g_lock_pool.heads[PlaceOf(TagOf(*entry)).bucket()]});
  }

  // The next process that `waiting` waits for, in no order; kNoSlot: that was all.
  static SlotIndex NextBlocker(Waiting& waiting) {
    const LockTag tag = TagOf(*waiting.entry);
    const LockClaim claim = ClaimOf(*waiting.entry);
    while (waiting.next != 0) {
      const LockEntry& other = EntryAt(waiting.next - 1);
      waiting.next = other.next;
      if (IsOf(other, tag) && Blocks(ClaimOf(other), claim)) return Unpack(other.Owner()).slot;
    }
    return kNoSlot;
  }

  void MarkVictim() {
    size_t youngest = cycle_begin_;
    for (size_t i = cycle_begin_; i < path_.size(); ++i) {
      if (AgeOf(path_[i].slot) > AgeOf(path_[youngest].slot)) youngest = i;
    }
    LockOwner& victim = g_lock_pool.owners[path_[youngest].slot];
    const PackedOwner owner = path_[youngest].entry->Owner();
    std::rotate(path_.begin() + static_cast<ptrdiff_t>(cycle_begin_),
                path_.begin() + static_cast<ptrdiff_t>(youngest), path_.end());
    const CycleText text = Describe();
    std::copy(text.text().begin(), text.text().end(), victim.cycle);
    victim.cycle[text.text().size()] = 0;
    // After the text: the victim reads it as soon as it sees this.
    StoreAfter(victim.victim, victim.wait_number.load(std::memory_order_relaxed));
    SetLatch(Segment::Procs(), Unpack(owner));
  }

  static uint64_t AgeOf(SlotIndex slot) {
    return g_lock_pool.owners[slot].age.load(std::memory_order_relaxed);
  }

  CycleText Describe() const {
    CycleText text;
    for (size_t i = cycle_begin_; i < path_.size(); ++i) {
      const Waiting& waiting = path_[i];
      const SlotIndex by = path_[i + 1 < path_.size() ? i + 1 : cycle_begin_].slot;
      const Proc& proc = Segment::Procs()[waiting.slot];
      const LockState state = StateOf(by, TagOf(*waiting.entry));
      if (i != cycle_begin_) text.Add("; ");
      text.Add("client {} (slot {}, pid {}) waits for {} on ", proc.client.client_id.load(),
               waiting.slot, proc.pid.load(), TxLockModeName(waiting.entry->State().wanted));
      text.AddTag(TagOf(*waiting.entry));
      const Proc& blocker = Segment::Procs()[by];
      const bool held = Conflicts(state.granted, waiting.entry->State().wanted);
      text.Add(", {} by client {} (slot {}, pid {}) in {}", held ? "held" : "awaited longer",
               blocker.client.client_id.load(), by, blocker.pid.load(),
               TxLockModeName(held ? state.granted : state.wanted));
    }
    return text;
  }

  static LockState StateOf(SlotIndex slot, const LockTag& tag) {
    LockState state;
    ForEachOf(PlaceOf(tag), tag, [&](EntryIndex, const LockEntry& entry) {
      if (Unpack(entry.Owner()).slot == slot) state = entry.State();
      return true;
    });
    return state;
  }

  std::vector<Colour> colours_;  // of each slot
  std::vector<Waiting> path_;
  size_t cycle_begin_ = 0;
};

}  // namespace

int64_t FindDeadlocks(int64_t since_us, int64_t every_ms) {
  Search search;
  const ExclusiveLock one_at_a_time(*g_lock_pool.deadlock_lock);
  std::atomic<int64_t>& last_us = g_lock_pool.state->last_search_us;
  const int64_t last = last_us.load(std::memory_order_relaxed);
  const int64_t now_us = MonotonicUs();
  if (last > since_us && now_us - last < every_ms * 1000) return last;
  const AllPartitions partitions;
  // While nothing can change: a wait that began before is seen.
  const int64_t begin_us = MonotonicUs();
  last_us.store(begin_us, std::memory_order_relaxed);
  search.Run();
  return begin_us;
}

bool IsVictim(const LockOwner& slot) {
  const uint64_t number = slot.wait_number.load(std::memory_order_acquire);
  return number != 0 && slot.victim.load(std::memory_order_acquire) == number;
}

std::string DescribeTag(const LockTag& tag) {
  CycleText text;
  text.AddTag(tag);
  return std::string(text.text());
}

}  // namespace warren

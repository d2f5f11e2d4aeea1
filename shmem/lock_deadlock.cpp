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

// Of a circle that was found: through how many of its members a shorter one is looked for.
constexpr size_t kMembersTried = 16;

enum class Colour : uint8_t { kWhite, kGrey, kBlack };

// A depth-first search through all that wait. Its memory is there before the locks are taken.
class Search {
 public:
  Search() : colours_(g_lock_pool.slots), from_(g_lock_pool.slots) {
    path_.reserve(g_lock_pool.slots);
    cycle_.reserve(g_lock_pool.slots);
    queue_.reserve(g_lock_pool.slots);
  }

  // Under all locks. Each victim is taken for gone, then everything is looked at again: it may have
  // stood on several circles.
  void Run() noexcept {
    while (FindCycle()) {
      Shorten();
      MarkVictim();
    }
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

  // True: there is a circle, in cycle_.
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
        const auto begin = std::find_if(path_.begin(), path_.end(),
                                        [&](const Waiting& w) { return w.slot == next; });
        cycle_.assign(begin, path_.end());
        return true;
      }
      LockEntry* const its_entry = WaitOf(next);
      if (its_entry != nullptr && colours_[next] == Colour::kWhite) Enter(next, its_entry);
    }
    return false;
  }

  void Enter(SlotIndex slot, LockEntry* entry) {
    colours_[slot] = Colour::kGrey;
    path_.push_back(StartAt(slot, entry));
  }

  static Waiting StartAt(SlotIndex slot, LockEntry* entry) {
    return {slot, entry, g_lock_pool.heads[PlaceOf(TagOf(*entry)).bucket()]};
  }

  // A walk may have come by one who only waits behind the others, and whose end would not help: the
  // shortest circle through one of those found is taken instead.
  void Shorten() {
    path_ = cycle_;
    const size_t members = std::min(path_.size(), kMembersTried);
    for (size_t i = 0; i < members && cycle_.size() > 2; ++i) FindShortest(path_[i]);
  }

  // Breadth first, from `start` back to it; replaces cycle_ if that is longer.
  void FindShortest(const Waiting& start) {
    std::fill(from_.begin(), from_.end(), kNoSlot);
    queue_.assign(1, StartAt(start.slot, start.entry));
    for (size_t at = 0; at < queue_.size(); ++at) {
      for (SlotIndex next; (next = NextBlocker(queue_[at])) != kNoSlot;) {
        LockEntry* const entry = from_[next] == kNoSlot ? WaitOf(next) : nullptr;
        if (entry == nullptr) continue;
        from_[next] = queue_[at].slot;
        if (next == start.slot) return TakeCircle(start.slot);
        queue_.push_back(StartAt(next, entry));
      }
    }
  }

  // The steps that led to `end` and that began there, from the last to the first.
  void TakeCircle(SlotIndex end) {
    size_t length = 1;
    for (SlotIndex slot = from_[end]; slot != end; slot = from_[slot]) ++length;
    if (length >= cycle_.size()) return;
    cycle_.resize(length);
    SlotIndex slot = end;
    for (size_t i = length; i-- > 0;) {
      slot = from_[slot];
      cycle_[i] = StartAt(slot, WaitOf(slot));
    }
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
    const auto youngest = std::max_element(
        cycle_.begin(), cycle_.end(),
        [](const Waiting& a, const Waiting& b) { return AgeOf(a.slot) < AgeOf(b.slot); });
    std::rotate(cycle_.begin(), youngest, cycle_.end());
    LockOwner& victim = g_lock_pool.owners[cycle_[0].slot];
    const CycleText text = Describe();
    std::copy(text.text().begin(), text.text().end(), victim.cycle);
    victim.cycle[text.text().size()] = 0;
    // After the text: the victim reads it as soon as it sees this.
    StoreAfter(victim.victim, victim.wait_number.load(std::memory_order_relaxed));
    SetLatch(Segment::Procs(), Unpack(cycle_[0].entry->Owner()));
  }

  static uint64_t AgeOf(SlotIndex slot) {
    return g_lock_pool.owners[slot].age.load(std::memory_order_relaxed);
  }

  CycleText Describe() const {
    CycleText text;
    for (size_t i = 0; i < cycle_.size(); ++i) {
      const Waiting& waiting = cycle_[i];
      const SlotIndex by = cycle_[(i + 1) % cycle_.size()].slot;
      const Proc& proc = Segment::Procs()[waiting.slot];
      const LockState state = StateOf(by, TagOf(*waiting.entry));
      if (i != 0) text.Add("; ");
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
  std::vector<Waiting> path_;    // of the walk
  std::vector<Waiting> cycle_;   // each waits for the next, the last one for the first
  std::vector<Waiting> queue_;   // of the breadth-first search
  std::vector<SlotIndex> from_;  // who led it to the slot
};

// Under the deadlock lock.
int64_t SearchAll(Search& search) {
  const AllPartitions partitions;
  // While nothing can change: every wait that began before is seen.
  const int64_t begin_us = MonotonicUs();
  g_lock_pool.state->last_search_us.store(begin_us, std::memory_order_relaxed);
  search.Run();
  return begin_us;
}

}  // namespace

int64_t FindDeadlocks(int64_t since_us, int64_t every_ms) {
  std::atomic<int64_t>& last_us = g_lock_pool.state->last_search_us;
  const int64_t last = last_us.load(std::memory_order_relaxed);
  const int64_t now_us = MonotonicUs();
  if (last > since_us && now_us - last < every_ms * 1000) return last;
  Search search;
  // Somebody else searches, but may have begun before the caller's wait: the caller comes again.
  if (!TryAcquireExclusive(*g_lock_pool.deadlock_lock)) return now_us;
  const int64_t begin_us = SearchAll(search);
  ReleaseExclusive(*g_lock_pool.deadlock_lock);
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

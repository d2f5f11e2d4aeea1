// How often did what happen?
//
// One block of counters per process slot, written by that slot's process alone with relaxed stores
// (by the process monitor while the process is dead, which is counted there: SetOf); never folded
// and never cleared when the slot is reused, so a later process goes on counting and a total is
// always the plain sum. A reset stores the present sums as a baseline. The postmaster has a block
// of its own (index = slot count). Nothing here needs repair.
//
// Besides the named counters each block has per-command counters (the command table's rows, sized
// at start) and the LWLock counters live in LockProc; both are summed the same way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"

namespace warren {

enum class StatId : uint16_t {
#define WARREN_STAT(id, name, unit, help) id,
#include "shmem/stat_list.def"
#undef WARREN_STAT
};

inline constexpr size_t kStatCount = 0
#define WARREN_STAT(id, name, unit, help) +1
#include "shmem/stat_list.def"
#undef WARREN_STAT
    ;

struct StatInfo {
  std::string_view name;
  std::string_view unit;
  std::string_view help;
};
const StatInfo& GetStatInfo(StatId id);

struct CommandCounters {
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> microseconds;
  std::atomic<uint64_t> rejected;  // not executed: arity, authentication, not allowed here
  std::atomic<uint64_t> failed;    // executed, answered with an error
};

// Error replies by prefix ("ERR", "WRONGTYPE", ...): a fixed small set plus "other".
inline constexpr size_t kErrorKinds = 16;
std::span<const std::string_view> ErrorKindNames();
size_t ErrorKindOf(std::string_view error_reply);  // "WRONGTYPE Operation against..." -> its index

class Stats {
 public:
  // The block of the calling process (tests: thread). Called after each fork.
  static void BindSelf(SlotIndex slot);
  static void BindPostmaster();
  static void Unbind();

  // Of the calling process; does nothing in a process without a block (tests, client programs).
  static void Add(StatId id, uint64_t n = 1) {
    if (t_counters != nullptr) AddTo(t_counters[static_cast<size_t>(id)], n);
  }
  static void AddCommand(size_t command_index, uint64_t microseconds, bool failed);
  static void AddRejected(size_t command_index);
  static void AddError(std::string_view error_reply);
  // Of a slot whose process is dead; the process monitor alone writes there then.
  static uint64_t Of(SlotIndex slot, StatId id);
  static void SetOf(SlotIndex slot, StatId id, uint64_t n);

  // Sums over all blocks since the last reset.
  static uint64_t Read(StatId id);
  // Since the server's start, whatever was reset.
  static uint64_t ReadSinceStart(StatId id);
  struct CommandTotals {
    uint64_t calls, microseconds, rejected, failed;
  };
  static CommandTotals ReadCommand(size_t command_index);
  static uint64_t ReadError(size_t error_kind);
  struct TrancheTotals {
    uint64_t acquired, waited, wait_ns;
  };
  static TrancheTotals ReadTranche(size_t tranche);
  static uint64_t TimeoutsOnFreeLock();

  // Caller holds the settings lock exclusively.
  static void Reset();

  // For the segment's table.
  static size_t BlocksBytes(uint32_t slot_count, uint32_t command_count);
  static size_t BaselineBytes(uint32_t command_count);

 private:
  // One writer each, so that a plain addition is enough.
  static void AddTo(std::atomic<uint64_t>& counter, uint64_t n) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  // The calling process's block; the named counters come first. Thread-local only for the tests.
  static inline constinit thread_local std::atomic<uint64_t>* t_counters = nullptr;
};

}  // namespace warren

// Which fault points are set, for all processes of the server?
//
// One row a point, in the segment. A row is changed under the settings lock between two stores to
// its version: while that is odd nothing is set, and so it stays if the one who changed it was
// killed. Whoever comes to a point reads its row without a lock.
//
// The commands are backend/commands_fault.h; a process looks here only if it has called Enable
// (the setting fault_points), and a full restart clears all rows.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fault_point.h"
#include "base/ids.h"
#include "shmem/proc.h"

namespace warren {

enum class FaultKind : uint8_t { kNone, kKill, kSegv, kAbort, kHang, kDelay, kError };

// Whom a point is for.
enum class FaultFor : uint8_t { kAnybody, kClient, kProcess, kKind };

struct FaultSetting {
  FaultKind kind = FaultKind::kNone;
  uint32_t delay_ms = 0;
  uint32_t after = 0;      // so many pass first
  uint32_t times = 0;      // then it happens so often; 0: always
  double probability = 1;  // each time
  FaultFor whom = FaultFor::kAnybody;
  uint64_t number = 0;    // client id, process id or ProcessKind
  PackedOwner owner = 0;  // of the client or process
};

struct FaultCounts {
  uint64_t hits = 0;   // by anybody since the server's start
  uint64_t fired = 0;  // since the point was set
};

struct alignas(kCacheLineBytes) FaultRow {
  // -- Under the settings lock.
  std::atomic<uint32_t> version;  // odd: being changed
  std::atomic<FaultKind> kind;
  std::atomic<FaultFor> whom;
  std::atomic<uint32_t> delay_ms, after, times;
  std::atomic<double> probability;
  std::atomic<uint64_t> number;
  std::atomic<PackedOwner> owner;
  // -- By whoever comes to the point; the last two begin again with each setting.
  std::atomic<uint64_t> hits;
  std::atomic<uint32_t> matched, fired;
};

class FaultTable {
 public:
  // From now on this process heeds the table.
  static void Enable();

  // With the settings lock held. Clear: was anything set? Both end a hang.
  static void Set(FaultPoint point, const FaultSetting& setting);
  static bool Clear(FaultPoint point);

  static FaultSetting Read(FaultPoint point);
  static FaultCounts Counts(FaultPoint point);
};

// As the client says it: "kill", "hang", ...; nothing for an unknown word.
std::optional<FaultKind> FindFaultKind(std::string_view word);

// "off", or "kill after 2 times 1 probability 0.5 client 17".
std::string DescribeFault(const FaultSetting& setting);

}  // namespace warren

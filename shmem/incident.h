// What did a death cost whom?
//
// One Incident for each abnormal death and each full restart, the newest ones in a ring in the
// segment, all of them in a file (storage/incident_file.h).
//
// The ring is written by one process at a time: the startup process, which fills it from the file,
// then the process monitor. A row is valid by its last store, that of `id`; what becomes known
// later is a part of it, valid by the store of the part's bit. So a monitor that is killed in the
// middle of anything leaves a row that is there or not, with or without a part, and its successor
// goes on with it: an open row belongs to a dead process whose slot is not free yet. What a repair
// makes unknowable (who waits for a lock that it frees) is a part before that step, so that no
// successor has to look for it again; nothing of a part changes once it is valid.
//
// Locking: none. Readers copy a row and look at its id again.
// Limits: kRows incidents. When as many are open at once, further ones are noted when one of these
// is done; what LWLocks they held is not known then.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "shmem/proc.h"

namespace warren {

// One process that waited for the dead one.
struct IncidentWaiter {
  int64_t pid = 0;
  int64_t slot = 0;
  int64_t client_id = 0;  // 0: not a backend
  int64_t waited_us = 0;  // from the begin of its wait until the lock was free
  int64_t began_us = 0;   // MonotonicUs; for whoever ends the record, not told
  SharedText<48> lock{};
};

inline constexpr size_t kListedWaiters = 8;

struct Incident {
#define WARREN_INCIDENT_TIME(id, help) int64_t id = 0;
#define WARREN_INCIDENT_NUMBER(id, help) int64_t id = 0;
#define WARREN_INCIDENT_TEXT(id, bytes, help) SharedText<bytes> id{};
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
  // The first of those who waited: for LWLocks, then for locks of the lock table.
  std::array<IncidentWaiter, kListedWaiters> waiters{};
  // MonotonicUs at which the longest wait of each kind began, that of one who isn't listed, too;
  // not told.
  int64_t first_lwlock_wait_us = 0;
  int64_t first_lock_wait_us = 0;

  size_t listed_waiters() const;
  // After all of the first kind, those of the second.
  void AddLwlockWaiter(const IncidentWaiter& waiter);
  void AddLockWaiter(const IncidentWaiter& waiter);
  // What it is all about is free now: how long they have waited. May be done again.
  void EndLwlockWaits(int64_t now_us);
  void EndLockWaits(int64_t now_us);
};
static_assert(sizeof(Incident) % 8 == 0);

inline constexpr std::string_view kUnderRepair = "under repair";
inline constexpr std::string_view kRepairedInPlace = "repaired in place";
inline constexpr std::string_view kFullRestart = "full restart";

// What is known when: each is stored as a whole.
enum class IncidentPart : uint32_t {
  kFacts = 0,              // who died of what with which locks; with the row itself
  kLwlockWaits = 1u << 0,  // who waits for its LWLocks, which it still has
  kLocksFree = 1u << 1,    // LWLocks and pages are repaired: since when, and how long these waited
  kLockTable = 1u << 2,    // what it has in the lock table, and who waits for that: still there
  kEnd = 1u << 3,          // all the rest
  kTold = 1u << 4,         // it stands in log and file: the row is closed
};

struct IncidentRow {
  static constexpr size_t kWords = sizeof(Incident) / 8;
  std::atomic<uint64_t> id;       // 0: the rest means nothing
  std::atomic<PackedOwner> dead;  // whose repair ends it; 0: it was whole from the first
  std::atomic<uint32_t> parts;    // IncidentPart
  std::atomic<uint64_t> words[kWords];
};

struct alignas(kCacheLineBytes) IncidentRing {
  static constexpr size_t kRows = 256;

  // -- By whoever fills the ring.
  std::atomic<uint64_t> last_id;
  // The last one of those that the postmaster hands over (postmaster/restart_incident.h).
  std::atomic<uint64_t> taken_over;

  // -- By INCIDENTS RESET.
  std::atomic<uint64_t> reset_id;  // up to this one all are forgotten

  IncidentRow rows[kRows];
};

struct NumberedIncident {
  uint64_t id = 0;
  Incident incident;
};

// The per-process handle on the ring.
class Incidents {
 public:
  // -- For whoever fills the ring.
  // The row of a dead process, open or told already; null: there is none.
  static IncidentRow* Find(PackedOwner dead);
  static bool IsOpen(const IncidentRow& row);
  // Null: all rows are open.
  static IncidentRow* Open(PackedOwner dead, const Incident& facts);
  static Incident Read(const IncidentRow& row);
  static bool Has(const IncidentRow& row, IncidentPart part);
  // `incident` is what Read gave, with what belongs to `part` filled in.
  static void Add(IncidentRow& row, IncidentPart part, const Incident& incident);
  static void Close(IncidentRow& row);
  // A whole one. Ids ascend; 0: the next one. Returns the id, 0 if all rows are open.
  static uint64_t Put(const Incident& incident, uint64_t id = 0);

  // -- For everybody.
  // Newest first; those under repair as far as they are known.
  static std::vector<NumberedIncident> Newest(size_t count);
  static std::vector<NumberedIncident> AllOpen();
  // Forgets all that there are; returns the newest one's id.
  static uint64_t Reset();
};

}  // namespace warren

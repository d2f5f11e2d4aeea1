#include "shmem/incident.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "base/ordered_store.h"
#include "shmem/segment.h"

namespace warren {
namespace {

using Words = std::array<uint64_t, IncidentRow::kWords>;

Words WordsOf(const Incident& incident) { return std::bit_cast<Words>(incident); }

void StoreWords(IncidentRow& row, const Incident& incident) {
  const Words words = WordsOf(incident);
  for (size_t i = 0; i < words.size(); ++i) {
    row.words[i].store(words[i], std::memory_order_relaxed);
  }
}

// The row whose turn it is, and its id; null: all are open.
IncidentRow* NextRow(uint64_t* id) {
  IncidentRing& ring = Segment::IncidentRows();
  const uint64_t last = ring.last_id.load();
  for (uint64_t next = last + 1; next <= last + IncidentRing::kRows; ++next) {
    IncidentRow& row = ring.rows[next % IncidentRing::kRows];
    // There, and not counted: whoever filled it was killed before the last store.
    if (Incidents::IsOpen(row) || row.id.load() == next) continue;
    *id = next;
    return &row;
  }
  return nullptr;
}

void Fill(IncidentRow& row, uint64_t id, PackedOwner dead, const Incident& incident) {
  // A row that is being replaced belongs to nobody: killed in here, it is a free one.
  StoreBefore(row.id, uint64_t{0});
  std::atomic_thread_fence(std::memory_order_release);  // partner: Copy's second look
  StoreWords(row, incident);
  // Before `dead`: whose row it is says nothing of those who had it before.
  StoreBefore(row.parts, uint32_t{0});
  // Before `id`: an id without an owner would be one whose repair has ended.
  StoreAfter(row.dead, dead);
  StoreAfter(row.id, id);
  StoreAfter(Segment::IncidentRows().last_id, id);
}

// What is not valid yet may be half written.
void LeaveOutUnknown(Incident& incident, uint32_t parts) {
  const auto has = [parts](IncidentPart part) {
    return (parts & static_cast<uint32_t>(part)) != 0;
  };
  if (!has(IncidentPart::kLocksFree)) {
    incident.lwlocks_free_us = -1;
    incident.lwlock_waiters = incident.longest_lwlock_wait_us = 0;
  }
  if (!has(IncidentPart::kLockTable)) {
    incident.locks.Set("");
    incident.lock_count = 0;
  }
  if (has(IncidentPart::kEnd)) return;
  incident.lock_waiters = incident.longest_lock_wait_us = 0;
  incident.locks_free_us = incident.cleared_us = incident.running_us = -1;
  incident.outcome.Set(kUnderRepair);
  incident.reason.Set("");
}

std::optional<NumberedIncident> Copy(const IncidentRow& row) {
  const uint64_t id = row.id.load(std::memory_order_acquire);
  if (id == 0) return std::nullopt;
  const uint32_t parts =
      Incidents::IsOpen(row) ? row.parts.load(std::memory_order_acquire) : ~uint32_t{0};
  NumberedIncident copy{id, Incidents::Read(row)};
  std::atomic_thread_fence(std::memory_order_acquire);  // partner: Fill
  if (row.id.load(std::memory_order_relaxed) != id) return std::nullopt;
  LeaveOutUnknown(copy.incident, parts);
  return copy;
}

template <typename Wanted>
std::vector<NumberedIncident> Collect(Wanted wanted) {
  const IncidentRing& ring = Segment::IncidentRows();
  std::vector<NumberedIncident> all;
  for (const IncidentRow& row : ring.rows) {
    if (row.id.load() == 0 || !wanted(ring, row)) continue;
    if (const auto copy = Copy(row); copy.has_value()) all.push_back(*copy);
  }
  std::ranges::sort(all, std::ranges::greater(), &NumberedIncident::id);
  return all;
}

}  // namespace

size_t Incident::listed_waiters() const {
  return static_cast<size_t>(std::clamp<int64_t>(lwlock_waiters + lock_waiters, 0, kListedWaiters));
}

namespace {

// Waits that began earliest are the longest; 0 stands for none.
int64_t Earlier(int64_t first_us, int64_t began_us) {
  return first_us == 0 ? began_us : std::min(first_us, began_us);
}

}  // namespace

void Incident::AddLwlockWaiter(const IncidentWaiter& waiter) {
  if (listed_waiters() < kListedWaiters) waiters[listed_waiters()] = waiter;
  ++lwlock_waiters;
  longest_lwlock_wait_us = std::max(longest_lwlock_wait_us, waiter.waited_us);
  first_lwlock_wait_us = Earlier(first_lwlock_wait_us, waiter.began_us);
}

void Incident::AddLockWaiter(const IncidentWaiter& waiter) {
  if (listed_waiters() < kListedWaiters) waiters[listed_waiters()] = waiter;
  ++lock_waiters;
  longest_lock_wait_us = std::max(longest_lock_wait_us, waiter.waited_us);
  first_lock_wait_us = Earlier(first_lock_wait_us, waiter.began_us);
}

void Incident::EndLwlockWaits(int64_t now_us) {
  const auto listed = static_cast<size_t>(std::clamp<int64_t>(lwlock_waiters, 0, kListedWaiters));
  for (size_t i = 0; i < listed; ++i) waiters[i].waited_us = now_us - waiters[i].began_us;
  longest_lwlock_wait_us = lwlock_waiters > 0 ? now_us - first_lwlock_wait_us : 0;
}

void Incident::EndLockWaits(int64_t now_us) {
  const auto first = static_cast<size_t>(std::clamp<int64_t>(lwlock_waiters, 0, kListedWaiters));
  for (size_t i = first; i < listed_waiters(); ++i) {
    waiters[i].waited_us = now_us - waiters[i].began_us;
  }
  longest_lock_wait_us = lock_waiters > 0 ? now_us - first_lock_wait_us : 0;
}

IncidentRow* Incidents::Find(PackedOwner dead) {
  for (IncidentRow& row : Segment::IncidentRows().rows) {
    if (row.id.load() != 0 && row.dead.load() == dead) return &row;
  }
  return nullptr;
}

bool Incidents::IsOpen(const IncidentRow& row) {
  return row.id.load() != 0 && row.dead.load() != 0 && !Has(row, IncidentPart::kTold);
}

IncidentRow* Incidents::Open(PackedOwner dead, const Incident& facts) {
  uint64_t id = 0;
  IncidentRow* const row = NextRow(&id);
  if (row != nullptr) Fill(*row, id, dead, facts);
  return row;
}

Incident Incidents::Read(const IncidentRow& row) {
  Words words;
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = row.words[i].load(std::memory_order_relaxed);
  }
  return std::bit_cast<Incident>(words);
}

bool Incidents::Has(const IncidentRow& row, IncidentPart part) {
  return (row.parts.load() & static_cast<uint32_t>(part)) != 0;
}

void Incidents::Add(IncidentRow& row, IncidentPart part, const Incident& incident) {
  // What was valid before is stored once more as it is: nobody sees it otherwise meanwhile.
  StoreWords(row, incident);
  StoreAfter(row.parts, row.parts.load() | static_cast<uint32_t>(part));
}

void Incidents::Close(IncidentRow& row) {
  StoreAfter(row.parts, row.parts.load() | static_cast<uint32_t>(IncidentPart::kTold));
}

uint64_t Incidents::Put(const Incident& incident, uint64_t id) {
  uint64_t next = 0;
  IncidentRow* row = NextRow(&next);
  if (row == nullptr) return 0;
  if (id != 0) {
    next = id;
    row = &Segment::IncidentRows().rows[id % IncidentRing::kRows];
  }
  Fill(*row, next, 0, incident);
  return next;
}

std::vector<NumberedIncident> Incidents::Newest(size_t count) {
  std::vector<NumberedIncident> all = Collect([](const IncidentRing& ring, const IncidentRow& row) {
    return row.id.load() > ring.reset_id.load();
  });
  if (all.size() > count) all.resize(count);
  return all;
}

std::vector<NumberedIncident> Incidents::AllOpen() {
  return Collect([](const IncidentRing&, const IncidentRow& row) { return IsOpen(row); });
}

uint64_t Incidents::Reset() {
  IncidentRing& ring = Segment::IncidentRows();
  const uint64_t last = ring.last_id.load();
  uint64_t before = ring.reset_id.load();
  // Two resets at once: the later one's stays.
  while (before < last && !ring.reset_id.compare_exchange_weak(before, last)) {
  }
  return last;
}

}  // namespace warren

// Whose time has come, and how do such keys go without anybody asking for them?
//
// For each database the segment holds a time before which none of its keys expires
// (DatabaseCounts::next_expiry_ms), so that a database is read only when something can have
// expired:
//
//   writer   lowers it, under the leaf's lock, before the record that gives a key an expiry
//   sweep    sets it to "never", reads every leaf, then lowers it to the smallest expiry it met
//
// What a writer lowered before the sweep's first store is in its leaf when the sweep gets there;
// what it lowers later stays. A death in between leaves a time too early, which costs one sweep for
// nothing.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"

namespace warren {

inline constexpr int64_t kNeverMs = std::numeric_limits<int64_t>::max();

// A key of the database is about to expire then (kNoExpiry: it is not). Its leaf is held.
void NoteExpiry(uint32_t database, int64_t expire_at_ms);

// Wakes the vacuum process if it would sleep longer. When the key has been written; nothing is
// held.
void WakeVacuumFor(int64_t expire_at_ms);

// When keys of the database may next expire: 0 if that is not known, kNeverMs if none has an
// expiry.
int64_t NextExpiryMs(uint32_t database);

// Vacuum's start: a predecessor may have died in the middle of a sweep.
void ForgetNextExpiries();

// One walk over the leaves of a database, one leaf at a time and nothing held in between. One per
// database at a time.
class ExpirySweep {
 public:
  struct Totals {
    uint64_t pages = 0;     // leaves looked at
    uint64_t expiring = 0;  // keys with an expiry that were met
    uint64_t removed = 0;   // of those, the ones whose time had come
  };

  explicit ExpirySweep(uint32_t database);
  ~ExpirySweep();  // one that did not reach the end leaves the next expiry unknown
  ExpirySweep(const ExpirySweep&) = delete;
  ExpirySweep& operator=(const ExpirySweep&) = delete;

  uint32_t database() const { return database_; }
  const Totals& totals() const { return totals_; }

  // Looks at the next leaf, removes its keys whose time has come, each with a record of its own,
  // and takes the leaf out of the tree if it is empty. False: that was the last one. Errors as
  // those of Store::Expire.
  Result<bool> NextLeaf(int64_t now_ms);

 private:
  Status LookAtLeaf(int64_t now_ms);

  const uint32_t database_;
  std::string from_;  // the low key of the next leaf
  bool at_end_ = false;
  int64_t next_expiry_ms_ = kNeverMs;
  Totals totals_;

  // Of the leaf at hand.
  std::vector<std::string> expired_;
  std::string high_key_;
  bool empty_ = false;
};

}  // namespace warren

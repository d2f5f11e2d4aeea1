// What can be done with the keys of a database?
//
// The one interface between commands and storage. Keys and values are binary-safe byte strings;
// keys are ordered bytewise. Times are WallClockMs; a key whose expiry is not after `now_ms` does
// not exist for any call here (and is removed by the next call that may write it).
//
// Locking: no function is called with an LWLock held; callbacks run under page locks unless said
// otherwise, and so may not wait, call the store, or throw.
// Errors: kCorrupt, kIo, kNoSpace, kBusy with a text for the client; nothing was changed then.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"

namespace warren {

inline constexpr int64_t kNoExpiry = 0;
inline constexpr uint32_t kMaxKeyBytesLimit = 2000;  // of a page: a leaf holds three such cells
inline constexpr uint64_t kMaxValueBytesLimit = 512ull << 20;

// A key as it stands. With exists == false the rest is empty.
struct Current {
  bool exists = false;
  std::string_view value = {};  // valid during the callback only
  int64_t expire_at_ms = kNoExpiry;
  uint64_t version = 0;  // LSN of the record that wrote it; grows with every write of the key
};

// What shall become of a key.
struct Change {
  enum Kind : uint8_t { kKeep, kPut, kErase, kSetExpiry } kind = kKeep;
  std::string_view value = {};       // kPut: must stay valid until Modify returns
  int64_t expire_at_ms = kNoExpiry;  // kPut, kSetExpiry
};

enum class NeedValue : uint8_t { kNo, kYes };

// Does the caller hold the lock table's locks that it needs, or shall the store look, under the
// leaf's lock, whether somebody else's keep it out? Then kConflict is returned, with nothing done.
enum class LockLook : uint8_t { kLook, kHolder };

// What a key was like at a moment. Equal stamps: nobody has changed it in between, not even there
// and back. (Unequal ones may be a false alarm.)
struct KeyStamp {
  bool exists = false;
  uint64_t version = 0;   // of its cell, also of one whose time has come; 0: there is none
  uint64_t removals = 0;  // of keys with similar hashes, if it does not exist
  uint64_t flushes = 0;   // of the database, likewise
  friend bool operator==(const KeyStamp&, const KeyStamp&) = default;
};

// In which leaf a key was found, or was missing, and what that leaf's LSN was.
struct LeafStamp {
  BufferIndex buffer = kNoBuffer;  // kNoBuffer: there was no leaf
  PageNo page_no = kNoPage;        // without a leaf: the database
  Lsn lsn = 0;                     // without a leaf: its key count
  uint32_t database = 0;
  uint32_t incarnation = 0;  // of its tree: dropping that changes no leaf
  friend bool operator==(const LeafStamp&, const LeafStamp&) = default;
};

// A key to be put, whatever it is now.
struct KeyPut {
  std::string_view key;
  std::string_view value;
  int64_t expire_at_ms = kNoExpiry;
};
inline constexpr size_t kMostPutAtOnce = 8;

class Store {
 public:
  // -- The data directory (see data_directory.h for init, open, clean shutdown).

  // -- One key.
  // Calls `read` once with the key as it stands: with an inline value straight from the page under
  // its shared lock, with a large one from a private copy without any lock. NeedValue::kNo leaves
  // Current::value empty but sets *value_bytes.
  static Result<bool> Read(uint32_t database, std::string_view key, int64_t now_ms, NeedValue need,
                           FunctionRef<void(const Current&, uint64_t value_bytes)> read,
                           LockLook look = LockLook::kLook, LeafStamp* stamp = nullptr);

  // Has the leaf been left alone since it was read? Then what was read is still so. (Unless the
  // answer is no: it may have been changed elsewhere, or have left the cache.) Several reads whose
  // stamps are all unchanged after the last one show one moment.
  static bool Unchanged(const LeafStamp& stamp) noexcept;

  // What WATCH remembers. Takes no notice of locks.
  static Result<KeyStamp> Stamp(uint32_t database, std::string_view key, int64_t now_ms);

  // Read, decide, write as one atomic step: `decide` sees the key as it stands and returns what
  // shall become of it. It may be called more than once (the key changed meanwhile, pages had to be
  // let go); only the last call counts, so it must start from scratch each time. With
  // NeedValue::kNo, Current::value is empty, and a value to put that stands at the same address
  // with the same size as in an earlier call must be the same bytes. Returns the change that was
  // made: kKeep also where there was no key to erase or to give an expiry.
  static Result<Change::Kind> Modify(
      uint32_t database, std::string_view key, int64_t now_ms, NeedValue need,
      FunctionRef<Change(const Current&, uint64_t value_bytes)> decide,
      LockLook look = LockLook::kLook);

  // Makes the first of the puts, with kLook: as many as one record can hold and a short way leads
  // to, kMostPutAtOnce at most, all at one moment. How many. 0: the first one takes Modify, be it
  // to learn what is against it.
  static size_t PutAtOnce(uint32_t database, std::span<const KeyPut> puts, int64_t now_ms);

  // Removes the key if its time has come. Was it so? A key whose expiry was renewed meanwhile
  // stays: it is looked at under its leaf's lock. So does one that somebody else has locked.
  static Result<bool> Expire(uint32_t database, std::string_view key, int64_t now_ms,
                             LockLook look = LockLook::kLook);

  // -- Many keys, in key order. `visit` runs without any lock on a private copy of one leaf; return
  // false to end. Keys present throughout are visited exactly once; others may be or not.
  struct Range {
    std::string_view from;  // empty and !reverse: the first key
    bool from_inclusive = true;
    bool reverse = false;  // empty from: the last key
  };
  static Status Scan(uint32_t database, const Range& range, int64_t now_ms, NeedValue need,
                     FunctionRef<bool(std::string_view key, const Current&)> visit);

  // One step of SCAN: visits about `count` keys from `cursor` (0: the start) on and returns the
  // cursor to go on with, 0 at the end. Any process can continue it, also after a restart; every
  // key present from the first call to the last is visited, some perhaps twice.
  static Result<uint64_t> ScanStep(uint32_t database, uint64_t cursor, uint32_t count,
                                   int64_t now_ms, FunctionRef<void(std::string_view key)> visit);

  static Result<std::optional<std::string>> RandomKey(uint32_t database, int64_t now_ms);

  // -- A whole database.
  static uint64_t KeyCount(uint32_t database);
  static uint64_t ExpiresCount(uint32_t database);
  // Empties it at once; the old pages are given back before it returns when that is possible.
  static Status Flush(uint32_t database);

  // Tree order, links, free pages, overflow chains, key counts: what is wrong, or nothing. For
  // quiet moments (tests, CHECK).
  static Status Check();
};

}  // namespace warren

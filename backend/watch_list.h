// Which keys does the client watch, and has one of them changed since?
//
// What a key was like is kept as a KeyStamp (storage/store.h), in this process alone: nobody who
// writes has to know who watches. So a change may be seen that was none for this key (a false
// alarm: another key with a similar hash was removed), but no change is missed, not even one there
// and back, by whomever, this session included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/function_ref.h"
#include "base/result.h"
#include "storage/store.h"

namespace warren {

class WatchList {
 public:
  // From now on; a key that is watched already goes on as it is. kGeneric: it would hold more than
  // `max_bytes`.
  Status Add(uint32_t database, std::string_view key, int64_t now_ms, uint64_t max_bytes);
  void Clear() { *this = WatchList(); }

  // Is any of them not what it was? The answer holds as long as the caller's locks keep others from
  // writing the keys.
  Result<bool> Changed(int64_t now_ms) const;

  size_t size() const { return keys_.size(); }
  void ForEach(FunctionRef<void(uint32_t database, std::string_view key)> visit) const;

 private:
  using Key = std::pair<uint32_t, std::string>;
  std::map<Key, KeyStamp> keys_;
  uint64_t bytes_ = 0;
};

}  // namespace warren

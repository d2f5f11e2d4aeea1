#include "backend/watch_list.h"

namespace warren {

Status WatchList::Add(uint32_t database, std::string_view key, int64_t now_ms, uint64_t max_bytes) {
  // No store could hold it: it is not there and never will be.
  if (key.size() > kMaxKeyBytesLimit) return {};
  Key watched{database, key};
  if (keys_.contains(watched)) return {};
  constexpr uint64_t kEachBytes = sizeof(std::pair<const Key, KeyStamp>) + 4 * sizeof(void*);
  const uint64_t more = kEachBytes + key.size();
  if (bytes_ + more > max_bytes) {
    return MakeError(ErrorCode::kGeneric,
                     "the watched keys would take more than client_query_limit ({} bytes)",
                     max_bytes);
  }
  ASSIGN_OR_RETURN(KeyStamp stamp, Store::Stamp(database, key, now_ms));
  if (!stamp.exists && stamp.version != 0) {
    // Its time has come already. If somebody removed it later, that would look like a change.
    (void)Store::Expire(database, key, now_ms);
    ASSIGN_OR_RETURN(stamp, Store::Stamp(database, key, now_ms));
  }
  keys_.emplace(std::move(watched), stamp);
  bytes_ += more;
  return {};
}

Result<bool> WatchList::Changed(int64_t now_ms) const {
  for (const auto& [key, stamp] : keys_) {
    ASSIGN_OR_RETURN(const KeyStamp now, Store::Stamp(key.first, key.second, now_ms));
    if (now != stamp) return true;
  }
  return false;
}

void WatchList::ForEach(FunctionRef<void(uint32_t database, std::string_view key)> visit) const {
  for (const auto& [key, stamp] : keys_) visit(key.first, key.second);
}

}  // namespace warren

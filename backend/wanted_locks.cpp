#include "backend/wanted_locks.h"

namespace warren {

void WantKey(uint32_t database, std::string_view key, TxLockMode mode, WantedLocks* wanted) {
  WantDatabase(database, mode == TxLockMode::kX ? TxLockMode::kIX : TxLockMode::kIS, wanted);
  wanted->push_back({KeyTag(database, key), mode});
}

void WantDatabase(uint32_t database, TxLockMode mode, WantedLocks* wanted) {
  wanted->push_back({DatabaseTag(database), mode});
}

void CollectLocks(const CommandInfo& info, Args args, uint32_t database, WantedLocks* wanted) {
  if (info.locks != nullptr) return info.locks(args, database, wanted);
  if (info.first_key == 0) return;
  const bool writes = (info.flags & kWrite) != 0;
  WantDatabase(database, writes ? TxLockMode::kIX : TxLockMode::kIS, wanted);
  const auto count = static_cast<int>(args.size());
  const int last = info.last_key < 0 ? count + info.last_key : info.last_key;
  for (int at = info.first_key; at <= last && at < count; at += info.key_step) {
    wanted->push_back({KeyTag(database, args[static_cast<size_t>(at)]),
                       writes ? TxLockMode::kX : TxLockMode::kS});
  }
}

void WantWholeDatabase(Args, uint32_t database, WantedLocks* wanted) {
  WantDatabase(database, TxLockMode::kS, wanted);
}

}  // namespace warren

// A session between MULTI and EXEC.
#include <fmt/format.h>

#include "backend/session.h"
#include "conf/settings.h"

namespace warren {

void Session::Queue(const CommandInfo& info, Args args) {
  if ((info.flags & kNoMulti) != 0) {
    return Reject(info, "ERR Command not allowed inside a transaction");
  }
  ShowCommand(info);
  client_->in_command.store(0, std::memory_order_relaxed);
  const Status queued = multi_.Add(info, args, GetSettings().client_query_limit_bytes);
  LapNs();
  if (!queued.ok()) return Reject(info, "ERR " + queued.error().message);
  ShowMulti();
  reply_.Simple("QUEUED");
}

// EXEC answers for all that was queued, and the queue is gone.
void Session::RejectExec(std::string_view text) {
  EndMulti();
  if (text.starts_with("ERR ")) text.remove_prefix(4);
  reply_.Error(fmt::format("EXECABORT Transaction discarded because of: {}", text));
}

void Session::ShowMulti() {
  const auto queued = static_cast<int32_t>(multi_.commands().size());
  client_->queued_commands.store(multi_.open() ? queued : -1, std::memory_order_relaxed);
  client_->watched_keys.store(static_cast<uint32_t>(watches_.size()), std::memory_order_relaxed);
}

void Session::EndMulti() {
  multi_.Close();
  watches_.Clear();
  ShowMulti();
}

}  // namespace warren

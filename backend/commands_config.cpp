#include "backend/commands_config.h"

#include <csignal>
#include <vector>

#include "backend/arguments.h"
#include "backend/session.h"
#include "conf/config_commands.h"
#include "conf/server_settings.h"
#include "conf/shared_settings.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// How often a waiting CONFIG SET looks whether the answer came without a wake-up.
constexpr int64_t kAnswerLookMs = 1000;

const auto kWakePostmaster = [] { kill(Segment::Server().postmaster_pid.load(), SIGURG); };

}  // namespace

Status ConfigGetCommand(Session& session, Args args) {
  const std::vector<NameValue> found = ConfigGet(args.subspan(2), GetSettings());
  session.reply().Map(found.size());
  for (const NameValue& setting : found) {
    session.reply().Bulk(setting.name);
    session.reply().Bulk(setting.value);
  }
  return {};
}

Status ConfigResetStatCommand(Session& session, Args) {
  const ExclusiveLock lock(Segment::SettingsLock());
  Stats::Reset();
  session.reply().Ok();
  return {};
}

Status ConfigRewriteCommand(Session& session, Args) {
  const ExclusiveLock lock(Segment::SettingsLock());
  RETURN_IF_ERROR(ConfigRewrite(ConfigFilePath(), GetSettings()));
  session.reply().Ok();
  return {};
}

Status ConfigSetCommand(Session& session, Args args) {
  if (args.size() % 2 != 0) return SyntaxError();
  std::vector<NameValue> changes;
  for (size_t i = 2; i < args.size(); i += 2) {
    changes.push_back({std::string(args[i]), std::string(args[i + 1])});
  }
  const ExclusiveLock lock(Segment::SettingsLock());
  const ScopedWait wait(WaitEvent::kSettingsReply);
  RETURN_IF_ERROR(ConfigSet(changes, ProcArray::SelfOwner(), kWakePostmaster, [&session] {
    if (Latch::Wait(kAnswerLookMs)) session.AttendToWakeUp();
    return session.close_reason() == CloseReason::kNone;
  }));
  session.reply().Ok();
  return {};
}

}  // namespace warren

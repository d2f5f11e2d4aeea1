#include "backend/commands_fault.h"

#include <limits>

#include "backend/arguments.h"
#include "backend/client_list.h"
#include "backend/session.h"
#include "base/ascii.h"
#include "base/fault_point.h"
#include "base/glob.h"
#include "base/log.h"
#include "conf/settings.h"
#include "lwlock/lwlock.h"
#include "shmem/fault_table.h"
#include "shmem/segment.h"

namespace warren {
namespace {

Status NeedFaultPoints() {
  if (GetSettings().fault_points) return {};
  return MakeError(ErrorCode::kGeneric,
                   "fault points are off; they need a server started with fault_points yes");
}

Result<FaultPoint> PointArgument(std::string_view name) {
  if (const auto point = FindFaultPoint(name)) return *point;
  return MakeError(ErrorCode::kGeneric, "no fault point is named '{}', see FAULT LIST", name);
}

Result<uint32_t> CountArgument(std::string_view text) {
  const auto count = ParseInteger(text);
  if (count && *count > 0 && *count <= std::numeric_limits<int32_t>::max()) {
    return static_cast<uint32_t>(*count);
  }
  return MakeError(ErrorCode::kGeneric, "'{}' is not a number of 1 or more", text);
}

bool IsNamed(const Proc& proc, FaultFor whom, uint64_t number) {
  const ProcLife life = proc.life.load();
  if (life != ProcLife::kRunning && life != ProcLife::kStarting) return false;
  return whom == FaultFor::kClient
             ? proc.kind.load() == ProcessKind::kBackend && proc.client.client_id.load() == number
             : static_cast<uint64_t>(proc.pid.load()) == number;
}

// A client's id, or else a process's.
Status FindByNumber(uint64_t number, FaultSetting* setting) {
  const ProcArray procs = Segment::Procs();
  for (const FaultFor whom : {FaultFor::kClient, FaultFor::kProcess}) {
    for (SlotIndex slot = 0; slot < procs.size(); ++slot) {
      const Owner owner{slot, procs[slot].generation.load()};
      if (!IsNamed(procs[slot], whom, number)) continue;
      setting->whom = whom;
      setting->number = number;
      setting->owner = Pack(owner);
      return {};
    }
  }
  return MakeError(ErrorCode::kGeneric, "no client or process has the number {}", number);
}

Status ParseClient(std::string_view text, FaultSetting* setting) {
  if (const auto number = ParseInteger(text); number && *number > 0) {
    return FindByNumber(static_cast<uint64_t>(*number), setting);
  }
  for (size_t kind = 0; kind < ProcessKinds().size(); ++kind) {
    if (!EqualsIgnoreCase(ProcessKinds()[kind].name, text)) continue;
    setting->whom = FaultFor::kKind;
    setting->number = kind;
    return {};
  }
  return MakeError(ErrorCode::kGeneric, "'{}' is no client, process or kind of process", text);
}

Status ParseOption(std::string_view option, std::string_view value, FaultSetting* setting) {
  if (EqualsIgnoreCase(option, "times")) {
    ASSIGN_OR_RETURN(setting->times, CountArgument(value));
  } else if (EqualsIgnoreCase(option, "after")) {
    ASSIGN_OR_RETURN(setting->after, CountArgument(value));
  } else if (EqualsIgnoreCase(option, "probability")) {
    const auto probability = ParseFloat(value);
    if (!probability || *probability <= 0 || *probability > 1) {
      return MakeError(ErrorCode::kGeneric, "'{}' is not a probability above 0, 1 at most", value);
    }
    setting->probability = static_cast<double>(*probability);
  } else if (EqualsIgnoreCase(option, "client")) {
    return ParseClient(value, setting);
  } else {
    return SyntaxError();
  }
  return {};
}

// `args` begins with the action.
Result<FaultSetting> ParseSetting(FaultPoint point, Args args) {
  const auto kind = FindFaultKind(args[0]);
  if (!kind) {
    return MakeError(ErrorCode::kGeneric,
                     "'{}' is no action: kill, segv, abort, hang, delay ms or error", args[0]);
  }
  FaultSetting setting{.kind = *kind};
  if (*kind == FaultKind::kError && !GetFaultPoint(point).may_fail) {
    return MakeError(ErrorCode::kGeneric,
                     "nothing can fail at fault point {}: kill, segv, abort, hang or delay ms",
                     FaultPointName(point));
  }
  args = args.subspan(1);
  if (*kind == FaultKind::kDelay) {
    if (args.empty()) return SyntaxError();
    ASSIGN_OR_RETURN(setting.delay_ms, CountArgument(args[0]));
    args = args.subspan(1);
  }
  if (args.size() % 2 != 0) return SyntaxError();
  for (size_t i = 0; i < args.size(); i += 2) {
    RETURN_IF_ERROR(ParseOption(args[i], args[i + 1], &setting));
  }
  return setting;
}

void ReplyPoint(Reply& reply, FaultPoint point) {
  const FaultPointInfo& info = GetFaultPoint(point);
  const FaultCounts counts = FaultTable::Counts(point);
  reply.Map(5);
  reply.Bulk("point");
  reply.Bulk(info.name);
  reply.Bulk("set");
  reply.Bulk(DescribeFault(FaultTable::Read(point)));
  reply.Bulk("hits");
  reply.Integer(static_cast<int64_t>(counts.hits));
  reply.Bulk("fired");
  reply.Integer(static_cast<int64_t>(counts.fired));
  reply.Bulk("moment");
  reply.Bulk(info.help);
}

}  // namespace

Status FaultSetCommand(Session& session, Args args) {
  RETURN_IF_ERROR(NeedFaultPoints());
  ASSIGN_OR_RETURN(const FaultPoint point, PointArgument(args[2]));
  ASSIGN_OR_RETURN(const FaultSetting setting, ParseSetting(point, args.subspan(3)));
  {
    const ExclusiveLock lock(Segment::SettingsLock());
    FaultTable::Set(point, setting);
  }
  log::Notice("fault point {} is set: {}", FaultPointName(point), DescribeFault(setting));
  session.reply().Ok();
  return {};
}

Status FaultClearCommand(Session& session, Args args) {
  RETURN_IF_ERROR(NeedFaultPoints());
  if (args.size() > 3) return SyntaxError();
  size_t begin = 0, end = kFaultPointCount;
  if (args.size() == 3) {
    ASSIGN_OR_RETURN(const FaultPoint point, PointArgument(args[2]));
    begin = static_cast<size_t>(point);
    end = begin + 1;
  }
  int64_t cleared = 0;
  {
    const ExclusiveLock lock(Segment::SettingsLock());
    for (size_t i = begin; i < end; ++i) {
      if (FaultTable::Clear(static_cast<FaultPoint>(i))) ++cleared;
    }
  }
  session.reply().Integer(cleared);
  return {};
}

Status FaultListCommand(Session& session, Args args) {
  RETURN_IF_ERROR(NeedFaultPoints());
  if (args.size() > 3) return SyntaxError();
  const std::string_view pattern = args.size() == 3 ? args[2] : "*";
  const size_t mark = session.reply().Mark();
  size_t count = 0;
  for (size_t i = 0; i < kFaultPointCount; ++i) {
    if (!GlobMatch(pattern, kFaultPoints[i].name)) continue;
    ReplyPoint(session.reply(), static_cast<FaultPoint>(i));
    ++count;
  }
  session.reply().CloseArray(mark, count);
  return {};
}

}  // namespace warren

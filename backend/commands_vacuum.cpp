#include "backend/commands_vacuum.h"

#include "backend/session.h"
#include "base/clock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr int64_t kLookEveryUs = 2000;

}  // namespace

Status VacuumCommand(Session& session, Args) {
  VacuumState& vacuum = Segment::Vacuum();
  const uint64_t number = 1 + vacuum.requested.fetch_add(1);
  SetLatch(Segment::Procs(), Unpack(vacuum.vacuum.load()));
  while (vacuum.done.load() < number) {
    if (vacuum.failed.load() >= number) {
      return MakeError(ErrorCode::kIo, "the vacuum failed, the server's log says why");
    }
    if (!session.SleepUntil(MonotonicUs() + kLookEveryUs)) {
      return MakeError(ErrorCode::kGeneric, "the connection is being closed");
    }
  }
  session.reply().Ok();
  return {};
}

}  // namespace warren

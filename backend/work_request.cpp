#include "backend/work_request.h"

#include "base/clock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr int64_t kLookEveryUs = 2000;

}  // namespace

uint64_t RequestWork(WorkRequests& requests) {
  const uint64_t number = 1 + requests.requested.fetch_add(1);
  SetLatch(Segment::Procs(), Unpack(requests.worker.load()));
  return number;
}

Status HaveWorkDone(Session& session, WorkRequests& requests, std::string_view what) {
  const uint64_t number = RequestWork(requests);
  while (requests.done.load() < number) {
    if (requests.failed.load() >= number) {
      return MakeError(ErrorCode::kIo, "the {} failed, the server's log says why", what);
    }
    if (!session.SleepUntil(MonotonicUs() + kLookEveryUs)) {
      return MakeError(ErrorCode::kGeneric, "the connection is being closed");
    }
  }
  return {};
}

}  // namespace warren

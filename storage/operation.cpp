#include "storage/operation.h"

#include <sched.h>
#include <time.h>

#include "storage/reclaim.h"

namespace warren {
namespace {

// Every buffer was locked. The others need them for microseconds; a second of tries is the limit.
constexpr int kBusyYields = 100;
constexpr int kBusyTries = 1100;
constexpr timespec kBusyPause{.tv_sec = 0, .tv_nsec = 1'000'000};

void PauseBusy(int tries) {
  if (tries < kBusyYields) {
    sched_yield();
  } else {
    nanosleep(&kBusyPause, nullptr);
  }
}

Result<Step> RunOnce(FunctionRef<Result<Step>()> step) {
  const Operation operation;
  return step();
}

}  // namespace

Status RunSteps(FunctionRef<Result<Step>()> step) {
  int busy_tries = 0;
  for (;;) {
    Result<Step> result = RunOnce(step);
    Status room;
    if (result.ok()) {
      if (*result == Step::kDone) return {};
      if (*result == Step::kAgain) continue;
      room = MakeRoom();
      if (room.ok()) continue;
    }
    Error error = result.ok() ? std::move(room).error() : std::move(result).error();
    if (error.code != ErrorCode::kBusy || ++busy_tries > kBusyTries) return error;
    PauseBusy(busy_tries);
  }
}

}  // namespace warren

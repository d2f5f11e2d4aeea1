#include "postmaster/vacuum.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "conf/settings.h"
#include "postmaster/aux_processes.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "storage/expiry.h"
#include "storage/reclaim.h"
#include "storage/truncate.h"
#include "storage/wal.h"

namespace warren {
namespace {

constexpr uint32_t kGarbageAtOnce = 1024;    // pages
constexpr int64_t kLongestSleepFactor = 30;  // of vacuum_naptime, while nothing is found
constexpr int64_t kRestAfterFailureMs = 5000;
constexpr int64_t kRestFactor = 9;   // after a sweep that found little: a tenth of the time
constexpr int64_t kHurryFactor = 3;  // a quarter of a processor while many keys are expired

// Work is worth a hurry while at least one key in so many has expired.
constexpr uint64_t kManyExpired = 10;

bool FoundMany(const ExpirySweep::Totals& totals, const ExpirySweep::Totals& before) {
  const uint64_t removed = totals.removed - before.removed;
  return removed > 0 && removed * kManyExpired >= totals.expiring - before.expiring;
}

class Vacuum {
 public:
  // A piece of work. Returns how long to sleep after it.
  int64_t Round() {
    if (state_.requests.Outstanding()) Serve(state_.requests.requested.load());
    if (GetSettings().vacuum_cost_limit == 0) {
      sweep_.reset();
      return LongestSleepMs();
    }
    if (!sweep_.has_value()) BeginSweepIfDue();
    if (sweep_.has_value()) return SweepOn();
    if (MonotonicMs() >= tidy_at_ms_) Tidy();
    return Nap();
  }

 private:
  // -- Searches for expired keys.

  void BeginSweepIfDue() {
    for (uint32_t i = 0; i < databases(); ++i) {
      const uint32_t database = (last_database_ + 1 + i) % databases();
      if (DueInMs(database) > 0) continue;
      last_database_ = database;
      sweep_.emplace(database);
      sweep_us_ = 0;
      return;
    }
  }

  // Keys expire by the wall clock, which may jump; a database rests by the other.
  int64_t DueInMs(uint32_t database) const {
    return std::max(NextExpiryMs(database) - WallClockMs(),
                    rest_until_ms_[database] - MonotonicMs());
  }

  int64_t NextDueInMs() const {
    int64_t next_ms = kNeverMs;
    for (uint32_t database = 0; database < databases(); ++database) {
      next_ms = std::min(next_ms, DueInMs(database));
    }
    return next_ms;
  }

  // As much of the sweep as one round may cost.
  int64_t SweepOn() {
    const ExpirySweep::Totals before = sweep_->totals();
    const auto cost = [&] {
      return sweep_->totals().pages - before.pages + sweep_->totals().removed - before.removed;
    };
    const int64_t began_us = MonotonicUs();
    Result<bool> more = true;
    while (more.ok() && *more && cost() < GetSettings().vacuum_cost_limit) {
      more = sweep_->NextLeaf(WallClockMs());
    }
    const int64_t worked_us = MonotonicUs() - began_us;
    sweep_us_ += worked_us;
    const bool found_many = FoundMany(sweep_->totals(), before);
    if (sweep_->totals().removed > before.removed) Wal::NoteAsynchronousChange();
    ReportFailure(more.ok() ? std::string() : more.error().message);
    if (!more.ok() || !*more) EndSweep(more.ok());
    const int64_t delay_ms = GetSettings().vacuum_cost_delay_ms;
    return found_many ? std::min(delay_ms, kHurryFactor * worked_us / 1000) : delay_ms;
  }

  // Reading all of a database for a few keys is not done again at once.
  void EndSweep(bool complete) {
    const ExpirySweep::Totals& totals = sweep_->totals();
    int64_t rest_ms = GetSettings().vacuum_naptime_ms;
    if (totals.removed < totals.pages) rest_ms = std::max(rest_ms, kRestFactor * sweep_us_ / 1000);
    if (!complete) rest_ms = std::max(rest_ms, kRestAfterFailureMs);
    rest_until_ms_[sweep_->database()] = MonotonicMs() + rest_ms;
    sweep_.reset();
    tidy_at_ms_ = 0;  // emptied pages can go
  }

  // -- Pages.

  void Tidy() {
    const uint32_t freed = CollectGarbage(kGarbageAtOnce);
    if (freed > 0) Wal::NoteAsynchronousChange();
    const int64_t naptime_ms = GetSettings().vacuum_naptime_ms;
    const bool shortened = CutIfLastingFree();
    idle_ms_ = freed > 0 || shortened || cuttable_
                   ? naptime_ms
                   : std::clamp(idle_ms_ * 2, naptime_ms, LongestSleepMs());
    tidy_at_ms_ = MonotonicMs() + idle_ms_;
  }

  // A free end is cut when two looks in a row have found it: what was freed a moment ago may be
  // wanted in the next.
  bool CutIfLastingFree() {
    const Result<PageNo> pages = FreeEndPages(EndSlack::kOneChunk);
    const bool again = std::exchange(cuttable_, pages.ok() && *pages > 0) && cuttable_;
    if (!again) return false;
    cuttable_ = false;
    const Result<PageNo> cut = CutFreeEnd(EndSlack::kOneChunk);
    if (!cut.ok()) log::Error("vacuum: {}", cut.error().message);
    return cut.ok() && *cut > 0;
  }

  // -- Requests.

  // Everything at full speed, whatever is known about it.
  void Serve(uint64_t requested) {
    sweep_.reset();
    const Status status = GoThroughEverything();
    Wal::NoteAsynchronousChange();
    if (Latch::TerminateRequested()) return;
    if (status.ok()) return StoreAfter(state_.requests.done, requested);
    log::Error("vacuum failed: {}", status.error().message);
    StoreAfter(state_.requests.failed, requested);
  }

  Status GoThroughEverything() {
    for (uint32_t database = 0; database < databases(); ++database) {
      ExpirySweep sweep(database);
      for (bool more = true; more && !Latch::TerminateRequested();) {
        ASSIGN_OR_RETURN(more, sweep.NextLeaf(WallClockMs()));
      }
    }
    while (CollectGarbage(kGarbageAtOnce) > 0 && !Latch::TerminateRequested()) {
    }
    const Result<PageNo> cut = CutFreeEnd(EndSlack::kNone);
    return cut.ok() ? Status() : Status(cut.error());
  }

  // -- Sleep.

  // Until a key can expire or the next look for garbage. Longer than a nap only if whoever puts a
  // key that expires before can know: then the time is published.
  int64_t Nap() {
    const int64_t now_ms = MonotonicMs();
    const int64_t naptime_ms = GetSettings().vacuum_naptime_ms;
    const int64_t sleep_ms = std::min(NextDueInMs(), std::max(tidy_at_ms_ - now_ms, int64_t{1}));
    if (sleep_ms <= naptime_ms) return sleep_ms;
    // A resting database is not looked at earlier for a new key's sake.
    const bool resting = std::ranges::any_of(
        rest_until_ms_, [&](int64_t rest_until_ms) { return rest_until_ms > now_ms; });
    if (resting) return naptime_ms;
    state_.sleeps_until_ms.store(WallClockMs() + sleep_ms);
    // After the store: whoever did not see it wrote its key before this look.
    return std::min(NextDueInMs(), sleep_ms);
  }

  // A full disk would fail every round: it is logged when it begins and when it has ended.
  void ReportFailure(const std::string& message) {
    if (!message.empty() && message != failure_) log::Warning("vacuum: {}", message);
    if (message.empty() && !failure_.empty()) log::Notice("vacuum works again");
    failure_ = message;
  }

  static int64_t LongestSleepMs() { return GetSettings().vacuum_naptime_ms * kLongestSleepFactor; }
  static uint32_t databases() { return Segment::Config().database_count; }

  VacuumState& state_ = Segment::Vacuum();
  std::optional<ExpirySweep> sweep_;  // the one under way
  int64_t sweep_us_ = 0;              // that it has worked so far
  uint32_t last_database_ = 0;
  std::vector<int64_t> rest_until_ms_ = std::vector<int64_t>(databases(), 0);
  int64_t tidy_at_ms_ = 0;
  int64_t idle_ms_ = 0;    // between the last looks for garbage
  bool cuttable_ = false;  // at the last look
  std::string failure_;
};

}  // namespace

int VacuumMain() {
  VacuumState& state = Segment::Vacuum();
  ForgetNextExpiries();
  state.requests.worker.store(Pack(ProcArray::SelfOwner()));
  Vacuum vacuum;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    state.sleeps_until_ms.store(0);
    const int64_t sleep_ms = vacuum.Round();
    if (sleep_ms > 0) Latch::Wait(sleep_ms);
  }
  return IsClosingTime() ? 0 : kEndedEarly;
}

}  // namespace warren

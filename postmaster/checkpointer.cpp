#include "postmaster/checkpointer.h"

#include <algorithm>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "conf/settings.h"
#include "postmaster/aux_processes.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/data_directory.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

constexpr int64_t kPauseMs = 50;  // one pause of a checkpoint that makes some
constexpr int64_t kRetryAfterFailureMs = 5000;
// Less is made again faster than the server starts, and the next start adds to it.
constexpr uint64_t kRedoWorthACheckpoint = uint64_t{1} << 20;
constexpr uint32_t kGentlePages = 128;  // 1 MiB from pause to pause

enum class Speed : uint8_t {
  kFull,    // somebody may be waiting
  kGentle,  // as soon as can be without being in anybody's way: at most 20 MB/s
  kSpread,  // over the time and the log until the next one
};

class Checkpointer {
 public:
  void RunIfDue() {
    const uint64_t requested = state_.requests.requested.load();
    if (state_.requests.Outstanding()) {
      return Run("asked for", state_.asked, requested, Speed::kFull);
    }
    if (Wal::InsertPosition() == idle_at_ || MonotonicMs() < not_before_ms_) return;
    if (WouldRedoAgain()) return Run("after redo", state_.after_redo, requested, Speed::kGentle);
    if (LogSinceCheckpoint() >= LogBetweenCheckpoints()) {
      return Run("log size", state_.sized, requested, Speed::kSpread);
    }
    if (MonotonicMs() - last_begin_ms_ >= GetSettings().checkpoint_timeout_ms) {
      return Run("time", state_.timed, requested, Speed::kSpread);
    }
  }

  // Until the time is due; requests and full segments wake it before. While the log does not grow
  // there is nothing to be due.
  int64_t NextWaitMs() const {
    // Asked for during a checkpoint, which has used up the wake-up.
    if (state_.requests.Outstanding()) return 0;
    const int64_t timeout_ms = GetSettings().checkpoint_timeout_ms;
    if (Wal::InsertPosition() == idle_at_) return timeout_ms;
    const int64_t timed_ms = WouldRedoAgain() ? 0 : last_begin_ms_ + timeout_ms;
    const int64_t due_ms = std::max(timed_ms, not_before_ms_);
    return std::max(due_ms - MonotonicMs(), int64_t{kPauseMs});
  }

 private:
  // The former checkpoint's log is kept until the next is complete: two rounds make max_wal_size.
  static uint64_t LogBetweenCheckpoints() { return GetSettings().max_wal_size_bytes / 2; }
  static uint64_t LogSinceCheckpoint() {
    return Wal::InsertPosition() - Segment::Wal().redo_point.load();
  }

  // No checkpoint has been completed since redo, and a crash now would repeat it.
  static bool WouldRedoAgain() {
    const WalState& wal = Segment::Wal();
    const Lsn begin = wal.redo_begin.load();
    return wal.redo_point.load() == begin && wal.redo_at.load() - begin >= kRedoWorthACheckpoint;
  }

  void Run(std::string_view reason, std::atomic<uint64_t>& counter, uint64_t requested,
           Speed speed) {
    last_begin_ms_ = MonotonicMs();
    AddOne(counter);
    const int64_t begun_us = WallClockUs();
    const uint64_t changes = Stats::ReadSinceStart(StatId::kMiniTransactions);
    state_.begun_us.store(begun_us);
    state_.running.store(1);
    const uint64_t keep_segments = GetSettings().wal_keep_size_bytes / kSegmentBytes;
    const auto summary = DataDirectory::Checkpoint(
        [&](uint32_t written, uint32_t to_write) {
          if (speed == Speed::kSpread) Pace(written, to_write, requested);
          if (speed == Speed::kGentle) Rest(written, requested);
        },
        keep_segments);
    state_.running.store(0);
    state_.last_failed.store(summary.ok() ? 0 : 1);
    if (!summary.ok()) {
      log::Error("checkpoint ({}) failed: {}", reason, summary.error().message);
      not_before_ms_ = MonotonicMs() + kRetryAfterFailureMs;
      return StoreAfter(state_.requests.failed, requested);
    }
    log::Notice(
        "checkpoint ({}): {} pages written in {} ms, redo begins at {:#x}, {} log files gone",
        reason, summary->pages_written, MonotonicMs() - last_begin_ms_, summary->redo_begin,
        summary->segments_removed);
    idle_at_ = Wal::InsertPosition();
    state_.last_done_us.store(WallClockUs());
    state_.last_duration_us.store(WallClockUs() - begun_us);
    state_.changes_at_begin.store(changes);
    AddOne(state_.completed);
    StoreAfter(state_.requests.done, requested);
  }

  // Somebody asks for more than what was asked for when this checkpoint began.
  bool Hurried(uint64_t requested) const {
    return Latch::TerminateRequested() || state_.requests.requested.load() != requested;
  }

  static void Pause() {
    Latch::Wait(kPauseMs);
    BeginAuxiliaryRound();
  }

  void Rest(uint32_t written, uint64_t requested) const {
    if (written % kGentlePages == 0 && !Hurried(requested)) Pause();
  }

  // Waits while the writing is ahead of both the clock and the log, until somebody is in a hurry.
  void Pace(uint32_t written, uint32_t to_write, uint64_t requested) const {
    const double done = static_cast<double>(written) / std::max(to_write, 1u);
    while (!Hurried(requested)) {
      const Settings& settings = GetSettings();
      const double target = static_cast<double>(settings.checkpoint_completion_target) / 100;
      const double time = static_cast<double>(MonotonicMs() - last_begin_ms_) /
                          static_cast<double>(settings.checkpoint_timeout_ms);
      const double log =
          static_cast<double>(Wal::InsertPosition() - Segment::Wal().checkpoint_start) /
          static_cast<double>(LogBetweenCheckpoints());
      if (done * target <= std::max(time, log)) return;
      Pause();
    }
  }

  // One writer: this process.
  static void AddOne(std::atomic<uint64_t>& counter) { counter.store(counter.load() + 1); }

  CheckpointRequests& state_ = Segment::Checkpoints();
  int64_t last_begin_ms_ = MonotonicMs();
  int64_t not_before_ms_ = 0;
  Lsn idle_at_ = 0;  // where the log ended after the last checkpoint: nothing to do until it grows
};

int CloseStore() {
  const Status status = DataDirectory::CloseCleanly();
  if (status.ok()) return 0;
  log::Error("the store could not be closed: {}", status.error().message);
  return kStoreNotClosed;
}

}  // namespace

int CheckpointerMain() {
  CheckpointRequests& state = Segment::Checkpoints();
  state.requests.worker.store(Pack(ProcArray::SelfOwner()));
  if (state.last_done_us.load() == 0) state.last_done_us.store(WallClockUs());
  Checkpointer checkpointer;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    checkpointer.RunIfDue();
    Latch::Wait(checkpointer.NextWaitMs());
  }
  return IsClosingTime() ? CloseStore() : kEndedEarly;
}

}  // namespace warren

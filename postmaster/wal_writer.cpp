#include "postmaster/wal_writer.h"

#include "base/log.h"
#include "conf/settings.h"
#include "postmaster/aux_processes.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "storage/wal.h"

namespace warren {
namespace {

constexpr int kIdleRounds = 20;  // before it sleeps until it is woken
constexpr int64_t kHibernationMs = 60'000;

void ReportFailure(const Status& status, bool* failing) {
  if (!status.ok() && !*failing) log::Warning("wal writer: {}", status.error().message);
  *failing = !status.ok();
}

}  // namespace

int WalWriterMain() {
  WalState& wal = Segment::Wal();
  wal.wal_writer.store(Pack(ProcArray::SelfOwner()));
  int idle_rounds = 0;
  bool failing = false;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    wal.wal_writer_sleep.store(WalWriterSleep::kAwake);
    const bool work = Wal::FlushPosition() < Wal::InsertPosition();
    ReportFailure(Wal::FlushAll(), &failing);
    // A full disk is no news here: whoever needs the segment says so to its client.
    (void)Wal::PrepareNextSegment();
    idle_rounds = work ? 0 : idle_rounds + 1;
    if (idle_rounds < kIdleRounds) {
      wal.wal_writer_sleep.store(WalWriterSleep::kNap);
      Latch::Wait(GetSettings().wal_writer_delay_ms);
      continue;
    }
    wal.wal_writer_sleep.store(WalWriterSleep::kHibernation);
    // After the store: whoever did not see it made its change before this look.
    if (Wal::FlushPosition() == Wal::InsertPosition()) Latch::Wait(kHibernationMs);
  }
  if (!IsClosingTime()) return kEndedEarly;
  return Wal::FlushAll().ok() ? 0 : kEndedEarly;
}

}  // namespace warren

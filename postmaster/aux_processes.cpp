#include "postmaster/aux_processes.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/log.h"
#include "conf/shared_settings.h"
#include "postmaster/archiver.h"
#include "postmaster/background_writer.h"
#include "postmaster/checkpointer.h"
#include "postmaster/process_monitor.h"
#include "postmaster/vacuum.h"
#include "postmaster/wal_writer.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "storage/data_directory.h"
#include "storage/incident_file.h"

namespace warren {
namespace {

int StartupMain() {
  if (const Status loaded = LoadIncidents(DataDirectory::Path()); !loaded.ok()) {
    log::Warning("{}", loaded.error().message);
  }
  const Status status = DataDirectory::Recover();
  if (status.ok()) return 0;
  log::Error("{}", status.error().message);
  return 1;
}

struct AuxiliaryRow {
  ProcessKind kind;
  AuxiliaryMain main;
};

constexpr std::array kAuxiliaryProcesses = {
    AuxiliaryRow{ProcessKind::kStartup, StartupMain},
    AuxiliaryRow{ProcessKind::kProcessMonitor, ProcessMonitorMain},
    AuxiliaryRow{ProcessKind::kCheckpointer, CheckpointerMain},
    AuxiliaryRow{ProcessKind::kWalWriter, WalWriterMain},
    AuxiliaryRow{ProcessKind::kArchiver, ArchiverMain},
    AuxiliaryRow{ProcessKind::kBackgroundWriter, BackgroundWriterMain},
    AuxiliaryRow{ProcessKind::kVacuum, VacuumMain},
};

}  // namespace

AuxiliaryMain GetAuxiliaryMain(ProcessKind kind) {
  for (const AuxiliaryRow& row : kAuxiliaryProcesses) {
    if (row.kind == kind) return row.main;
  }
  CHECK(false, "process kind {} has no main function", GetProcessKind(kind).name);
}

void BeginAuxiliaryRound() {
  Latch::TakeLatch();
  if (Latch::TakeReload()) {
    if (Status reopened = log::Reopen(); !reopened.ok()) {
      log::Warning("{}", reopened.error().message);
    }
  }
  RenewSettings();
}

bool IsClosingTime() {
  const ServerState& server = Segment::Server();
  return server.phase.load() == static_cast<uint32_t>(ServerPhase::kShuttingDown) &&
         server.connection_count.load() == 0;
}

int64_t RestartBackoff::NextDelayMs(int64_t lived_ms) {
  if (lived_ms >= kSoonMs) {
    delay_ms_ = 0;
    return 0;
  }
  const int64_t delay = delay_ms_;
  delay_ms_ = std::clamp(delay * 2, kFirstDelayMs, max_delay_ms_);
  return delay;
}

}  // namespace warren

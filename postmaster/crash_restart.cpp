#include "postmaster/crash_restart.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/shared_settings.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/wal.h"

namespace warren {

void FurnishSegment(const Settings& settings) {
  BindSharedSettings(Segment::SettingsArea());
  PublishSettings(settings);
  Stats::BindPostmaster();
  Segment::Server().postmaster_pid.store(getpid());
  Segment::Server().start_us.store(WallClockUs());
}

Status PrepareCrashRestart(const Settings& settings) {
  const Lsn durable = Wal::FlushPosition();
  ASSIGN_OR_RETURN(const Lsn rescued, Wal::RescueRing());
  log::Notice("crash restart: the log was durable to {:#x}, what was in memory went on to {:#x}",
              durable, rescued);
  const int64_t start_us = Segment::Server().start_us.load();
  Segment::Reset();
  FurnishSegment(settings);
  Segment::Server().start_us.store(start_us);
  DataFile::Get().Close();
  return DataDirectory::Open(settings.data_directory, settings.databases);
}

bool RestartBreaker::MayRestart(int64_t now_ms) {
  while (!restarts_ms_.empty() && now_ms - restarts_ms_.front() > kWithinMs) {
    restarts_ms_.pop_front();
  }
  if (restarts_ms_.size() >= kMost) return false;
  restarts_ms_.push_back(now_ms);
  return true;
}

}  // namespace warren

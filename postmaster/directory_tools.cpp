#include "postmaster/directory_tools.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "postmaster/pid_file.h"
#include "shmem/segment.h"
#include "storage/data_directory.h"
#include "storage/directory_check.h"
#include "storage/lsn_text.h"

namespace warren {
namespace {

constexpr uint32_t kLeastBuffers = 1024;
constexpr uint32_t kMostBuffers = 8192;  // 64 MiB

int Refuse(const std::string& why) {
  fmt::print(stderr, "warren: {}\n", why);
  return kCheckImpossible;
}

// Nothing, or why the directory must be left alone.
Status MayLookAt(const std::string& directory) {
  ASSIGN_OR_RETURN(const DataDirectory::Kind kind, DataDirectory::Inspect(directory));
  struct stat status;
  const bool has_store = stat(DataDirectory::DataFilePath(directory).c_str(), &status) == 0;
  if (kind != DataDirectory::Kind::kWarren && !has_store) {
    return MakeError(ErrorCode::kGeneric, "\"{}\" is not a data directory of Warren", directory);
  }
  ASSIGN_OR_RETURN(const auto holder, PidFile::Holder(directory));
  if (!holder.has_value()) return {};
  return MakeError(ErrorCode::kBusy,
                   "data directory \"{}\": in use by the postmaster with pid {}; the command CHECK "
                   "checks a running server",
                   directory, holder->pid);
}

// A segment of our own, as large as the work needs.
Status MakePrivateSegment(const std::string& directory) {
  struct stat status {};
  (void)stat(DataDirectory::DataFilePath(directory).c_str(), &status);
  const auto pages = static_cast<uint64_t>(status.st_size) / kPageBytes;
  SegmentConfig config;
  config.max_connections = 1;
  config.buffer_count =
      static_cast<uint32_t>(std::clamp<uint64_t>(pages, kLeastBuffers, kMostBuffers));
  config.database_count = kMaxDatabases;
  config.wal_ring_bytes = 64 << 10;
  RETURN_IF_ERROR(Segment::Create(config));
  (void)Segment::Procs().GiveOut(0, ProcessKind::kStartup);
  Segment::BindProcess(0);
  ProcArray::EnterRunning();
  return {};
}

void PrintReport(const std::string& directory, const DirectoryReport& report) {
  fmt::print("data directory: {}\n", directory);
  if (report.control.has_value()) {
    const ControlData& control = *report.control;
    fmt::print(
        "control file:   system {:016x}, {} starts, {}, redo begins at {}\n", control.system_id,
        control.start_count,
        control.state == DirectoryState::kClean ? "shut down cleanly" : "not shut down cleanly",
        FormatLsn(control.redo_begin));
  }
  if (report.redo.has_value()) {
    fmt::print("log:            {} records from {} to {}; it ends there: {}\n",
               report.redo->records, FormatLsn(report.redo->begin), FormatLsn(report.redo->end),
               report.redo->end_reason);
  }
  fmt::print("data file:      {} pages", report.page_count);
  if (report.rebuilt_pages > 0) fmt::print(", {} rebuilt from the log", report.rebuilt_pages);
  if (report.store_checked) {
    fmt::print(": {} used, {} garbage, {} free; {} keys in {} databases", report.totals.used_pages,
               report.totals.pending_pages, report.totals.free_pages, report.totals.keys,
               report.totals.trees);
  }
  fmt::print("\n");
  if (!report.store_checked) {
    fmt::print(
        "note: trees, garbage and the allocation map were not checked, because of the faults\n");
  }
  for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
  for (const std::string& fault : report.faults.lines()) fmt::print("fault: {}\n", fault);
  fmt::print("{}\n",
             report.faults.empty() ? "no faults" : fmt::format("{} faults", report.faults.count()));
}

}  // namespace

int CheckDirectoryCommand(const std::string& data_directory) {
  (void)log::Configure({.level = log::Level::kError, .format = log::Format::kText, .file = ""});
  log::SetProcess("check", kNoSlot);
  signal(SIGXFSZ, SIG_IGN);
  Status status = MayLookAt(data_directory);
  if (status.ok()) status = MakePrivateSegment(data_directory);
  if (!status.ok()) return Refuse(status.error().message);
  const Result<DirectoryReport> report = CheckDirectory(data_directory);
  if (!report.ok()) return Refuse(report.error().message);
  // What was read while a server changed it means nothing.
  status = MayLookAt(data_directory);
  if (!status.ok()) return Refuse(status.error().message);
  PrintReport(data_directory, *report);
  return report->faults.empty() ? kCheckClean : kCheckFaults;
}

}  // namespace warren

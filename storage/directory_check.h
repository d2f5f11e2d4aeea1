// Is everything in a data directory that no server has open as it should be?
//
// Control file, first page, checksum of every page, the log from where redo begins on, and the
// store (store_check.h) as the next start would leave it: redo is made in a private segment, and
// what it writes out goes beside the directory (page_overlay.h). Nothing in the directory is ever
// written.
//
// A page that a crash has torn and the log rebuilds is no fault. Neither is a damaged page that is
// free after a crash: what a write that was cut short left of nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/control_file.h"
#include "storage/data_file.h"
#include "storage/fault_list.h"
#include "storage/redo.h"
#include "storage/store_check.h"

namespace warren {

struct DirectoryReport {
  FaultList faults;
  std::vector<std::string> notes;      // what is worth knowing and no fault
  std::optional<ControlData> control;  // nothing: it can't be read
  std::optional<RedoSummary> redo;     // nothing: it could not be made
  bool store_checked = false;
  PageNo page_count = 0;
  uint64_t rebuilt_pages = 0;  // damaged in the file, whole after redo
  StoreTotals totals;
};

// The calling process has a slot in a segment that nobody else uses, made for kMaxDatabases
// databases. Errors say why the check could not be made; what is wrong is in the report.
Result<DirectoryReport> CheckDirectory(const std::string& directory);

}  // namespace warren

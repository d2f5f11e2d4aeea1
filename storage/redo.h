// How does the store become again what the log says it was?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/wal_state.h"
#include "storage/commit_record.h"

namespace warren {

struct RedoSummary {
  Lsn begin = 0;
  Lsn end = 0;  // where the log goes on
  uint64_t records = 0;
  uint32_t start_count = 0;  // of the last record
  Lsn log_begin = 0;  // from where the log is needed: `begin`, or where an older commit begins
  std::vector<CommitPlace> unfinished{};  // commits without an end record
  uint64_t unreadable_pages =
      0;                     // could be neither read nor rebuilt; whoever meets one gets an error
  std::string end_reason{};  // why the log ends there
};

// Makes every change of the log from `begin` on again: the startup process, alone, with the
// catalog's counts loaded. Commits that were logged but not made in full are only named: they are
// finished when the log is open again (FinishUnfinished). Logs its progress. May be repeated from
// the start: a page that has a change already is left alone, and a page with a full image starts
// from that.
//
// kIo, kCorrupt: the log could not be read, or holds a valid record that makes no sense.
Result<RedoSummary> Redo(Lsn begin);

// How much of the log is made again, at most; for whoever watches the startup process.
int RedoPercent(const WalState& state);

}  // namespace warren

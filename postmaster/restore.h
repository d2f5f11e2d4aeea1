// How does a backup become a data directory again? (`warren restore`)
//
//   1. its files are copied and verified (backup_files.h);
//   2. the log behind them is fetched from the archives, as far as it is wanted;
//   3. it is cut off at the target (storage/log_end.h);
//   4. the control file is written last: redo shall begin at the backup's start.
// The first start then does redo, under a start count above all that the log bears.
#pragma once

#include <string>
#include <vector>

#include "storage/log_end.h"

namespace warren {

struct RestoreOptions {
  std::string backup;                 // a directory, a tar file, or "-"
  std::string directory;              // must not exist or be empty
  std::vector<std::string> archives;  // directories with log files; the first that has one is asked
  LogTarget target;
};

// The whole command: says on standard error what it does; the exit code. After a failure nothing is
// left in the directory.
int RunRestore(const RestoreOptions& options);

}  // namespace warren

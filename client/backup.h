// How is a running server backed up? (`warren backup`)
//
// As a client like any other: BACKUP BEGIN, PAGES, STOP, LOG, END (backend/commands_backup.h). The
// server keeps the log that the backup needs for as long as this connection lasts.
#pragma once

#include <string>

#include "base/result.h"
#include "client/backup_output.h"
#include "client/progress.h"
#include "client/resp_client.h"

namespace warren {

struct BackupSummary {
  uint64_t data_bytes = 0;
  uint64_t log_bytes = 0;
  size_t damaged_pages = 0;
};

// Copies everything into `output` and finishes it. After an error what is in `output` is no backup.
Result<BackupSummary> CopyServer(RespClient& server, BackupOutput& output, Progress& progress);

struct BackupOptions {
  ServerAddress server;
  std::string destination;  // a directory, or "-" for a tar stream on standard output
};

// The whole command: says on standard error what it does; the exit code.
int RunBackup(const BackupOptions& options);

}  // namespace warren

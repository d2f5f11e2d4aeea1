// How do the files of a backup become those of a data directory?
#pragma once

#include <string>

#include "base/result.h"
#include "client/backup_input.h"
#include "client/backup_manifest.h"
#include "client/progress.h"

namespace warren {

// Copies data file and log into `directory`, which has empty `base` and `wal`, durably; log files
// get their full length. Every byte is verified: files against the manifest, pages against their
// own checksums. kCorrupt names the file, and the page or offset.
Result<BackupManifest> UnpackBackup(BackupInput& input, const std::string& directory,
                                    Progress& progress);

}  // namespace warren

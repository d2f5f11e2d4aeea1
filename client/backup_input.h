// What files are in a backup that lies in a directory or comes as a tar archive?
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace warren {

struct BackupEntry {
  std::string path;  // as in the manifest: "base/main"
  uint64_t bytes = 0;
};

class BackupInput {
 public:
  virtual ~BackupInput() = default;

  // The next file; nothing at the end. Directories and what is no plain file are passed over.
  virtual Result<std::optional<BackupEntry>> Next() = 0;
  // The next bytes of the present file; 0 at its end.
  virtual Result<size_t> Read(std::span<std::byte> bytes) = 0;
};

// A directory, a tar file, or "-": a tar archive on standard input.
Result<std::unique_ptr<BackupInput>> OpenBackupInput(const std::string& path);

}  // namespace warren

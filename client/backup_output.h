// Where does a backup go: into a directory, or as a tar stream into a descriptor?
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace warren {

// Files are written one after the other, each with exactly as many bytes as were announced.
class BackupOutput {
 public:
  virtual ~BackupOutput() = default;

  virtual Status BeginFile(const std::string& path, uint64_t bytes) = 0;
  virtual Status Write(std::span<const std::byte> bytes) = 0;
  virtual Status EndFile() = 0;

  // All files are there, durably where that means something.
  virtual Status Finish() = 0;
  // Takes away what can be taken away of a backup that failed.
  virtual void Abandon() = 0;
};

// Makes the directory, which must not exist or be empty; open to its owner alone.
Result<std::unique_ptr<BackupOutput>> OpenDirectoryOutput(const std::string& directory);

// `name` is for the errors' texts. The descriptor stays the caller's.
std::unique_ptr<BackupOutput> OpenTarOutput(int fd, std::string name);

}  // namespace warren

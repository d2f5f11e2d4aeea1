// What can a disk hold after the power failed?
//
// A disk that was synced in part: what was synced is there; of what was written since, each sector
// may be there or not, in any combination; names that were made, changed or removed since their
// directory was synced may be as before. A rename is done whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/fault_fs.h"

namespace warren::test {

// One recorded change.
struct DiskChange {
  FileCall call = FileCall::kWrite;
  std::string path;
  std::string to_path;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::vector<std::byte> data;
};

DiskChange ToChange(const FileEvent& event);

class RecordedDisk {
 public:
  // As the directory is now, all of it durable.
  explicit RecordedDisk(std::string directory);

  // The next change, as the program made it.
  void Make(const DiskChange& change);

  // Each fills `directory` with what the disk may hold if the power fails now.
  // `sector_bytes` is what is written whole.
  void WriteAfterPowerLoss(const std::string& directory, uint64_t sector_bytes,
                           std::mt19937_64& random) const;
  // Nothing that was not synced is there.
  void WriteSyncedOnly(const std::string& directory) const;
  // Everything is there, as after the death of the process alone.
  void WriteAll(const std::string& directory) const;

 private:
  using Bytes = std::vector<std::byte>;
  struct File {
    Bytes durable;
    std::vector<DiskChange> unsynced;  // writes, allocations, truncations
  };
  using Names = std::map<std::string, std::shared_ptr<File>>;  // path within the directory
  // A change of names that is not durable. Refers to files, since names may change meanwhile.
  struct NameChange {
    FileCall call;  // kCreate, kRename, kUnlink
    std::string path, to_path;
    std::shared_ptr<File> file;
  };

  // By chance if there is `random`, else everything.
  void Write(const std::string& directory, uint64_t sector_bytes, std::mt19937_64* random) const;
  void ChangeNames(const DiskChange& change);
  void Sync(const std::string& path);
  static void ApplyTo(Names& names, const NameChange& change);
  static void ApplyTo(Bytes& content, const DiskChange& change, uint64_t sector_bytes,
                      std::mt19937_64* random);
  std::string Relative(const std::string& path) const;

  std::string directory_;
  Names now_;      // as the program sees them
  Names durable_;  // as they are on disk for certain
  std::vector<NameChange> unsynced_names_;
};

}  // namespace warren::test

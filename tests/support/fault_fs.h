// How does a test see what a program does to its files, and refuse it?
//
// In programs that link `test_fault_fs` (tests/CMakeLists.txt) the linker leads every call of the C
// library that reads or changes a file to here; the code under test is the one that is shipped.
// Only files below the watched directory are looked at. Process-private, inherited by fork.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace warren::test {

enum class FileCall : uint8_t {
  kOpen,      // without creating or cutting anything
  kCreate,    // open that made the file, or cut it to nothing
  kRead,      // pread
  kWrite,     // pwrite
  kSync,      // fsync, fdatasync; of a directory, too
  kAllocate,  // posix_fallocate
  kTruncate,
  kRename,
  kUnlink,
};
std::string_view FileCallName(FileCall call);

struct FileEvent {
  FileCall call = FileCall::kOpen;
  std::string path = {};                 // kRename: the old name
  std::string to_path = {};              // kRename
  uint64_t offset = 0;                   // kWrite, kRead, kAllocate; kTruncate: the new size
  uint64_t bytes = 0;                    // kWrite, kRead, kAllocate
  std::span<const std::byte> data = {};  // kWrite
  int fd = -1;                           // kSync
};

// What becomes of a call.
struct FileVerdict {
  int error = 0;      // the call fails with this errno; 0: it succeeds
  bool half = false;  // kWrite: the first half of the bytes is written all the same; without an
                      // error the call says that it wrote no more
};

class FaultFs {
 public:
  using Before = std::function<FileVerdict(const FileEvent&)>;
  using After = std::function<void(const FileEvent&)>;  // after a call that did not fail

  // Files below `directory` from now on; `after` may be empty. Calls made inside either function
  // pass unseen.
  static void Watch(std::string directory, Before before, After after = {});
  static void Ignore();
};

// Ignores everything again at its end.
class WatchedFiles {
 public:
  explicit WatchedFiles(std::string directory, FaultFs::Before before, FaultFs::After after = {}) {
    FaultFs::Watch(std::move(directory), std::move(before), std::move(after));
  }
  ~WatchedFiles() { FaultFs::Ignore(); }
  WatchedFiles(const WatchedFiles&) = delete;
  WatchedFiles& operator=(const WatchedFiles&) = delete;
};

}  // namespace warren::test

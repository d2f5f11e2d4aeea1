// How does a test live through the failures of its disk?
//
// A life is a store that is started on a directory, works, and ends without being closed. Nothing
// here ends the test because the store answered an error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"
#include "shmem/segment.h"
#include "tests/crash/storage_history.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {

// Starts the store of a directory; ends it as a crash does.
class Life {
 public:
  explicit Life(std::string directory) : directory_(std::move(directory)) {}
  ~Life() { End(); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  Status Start();
  void End();

 private:
  std::string directory_;
};

// A data directory whose log is about to enter its second segment and whose tree has a few hundred
// keys, as a crash left it: the start of every run. Made once in a process.
struct Specimen {
  std::string directory;
  History::State state;
};
const Specimen& GetSpecimen();

// A place in memory for the runs of this process, removed at its end.
const std::string& ScratchDirectory();

// `to` becomes a copy of `from`.
void CopyDirectory(const std::string& from, const std::string& to);

// The scripted workload: changes of all kinds with flushes, checkpoints and write-outs in between,
// the same ones each time. Goes on after errors; only what was answered with success is noted.
// Returns early when `go_on` says so.
void RunScript(
    History& history, const std::function<bool()>& go_on = [] { return true; });

// A few more changes, made durable, and a checkpoint: everything works.
Status WorkAgain(History& history);

// All keys of database 0.
Result<History::State> ReadAll();

// The store holds what `history` allows, and its check is clean. What is wrong, or nothing.
std::string CheckAgainst(const History& history, size_t at_least);

}  // namespace warren::test

// Which postmaster, if any, has this data directory?
//
// DIR/postmaster.pid holds lines "name value" about the postmaster and carries an flock on a
// descriptor that all its children inherit. The lock is the truth: while any process of a
// postmaster lives, no other can take it; the text only says whom to talk to. The file is removed
// at an orderly end, under the lock.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace warren {

struct PidFileContent {
  pid_t pid = 0;
  int64_t start_seconds = 0;  // wall clock
  std::string phase;          // "starting", "recovering", "running", "shutting down"
  std::string recovery{};     // while recovering: how far it is
  int port = 0;               // 0: no TCP
  std::string unix_socket;    // empty: none
  std::vector<std::string>
      listeners;  // as people write them: "127.0.0.1:7432", "[::1]:7432", a path
  std::string data_directory;
};

std::string FormatPidFile(const PidFileContent& content);
PidFileContent ParsePidFile(const std::string& text);  // unknown and damaged lines are skipped

class PidFile {
 public:
  // Takes the lock, making the file if need be. An error that names the holder's pid and the
  // directory if somebody else has it.
  static Result<PidFile> Acquire(const std::string& data_directory);

  // Removes the file, under the lock. (Children end without running destructors.)
  ~PidFile();
  PidFile(PidFile&&) = default;
  PidFile& operator=(PidFile&&) = delete;

  Status Write(const PidFileContent& content);

  // For other programs: what the file says if its lock is held now; nothing if no process of a
  // postmaster has this directory.
  static Result<std::optional<PidFileContent>> Holder(const std::string& data_directory);

 private:
  PidFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

// Is `pid` the postmaster of `content` (and not a stranger with a reused number, when only its
// orphaned children are left)? Judged by its process title.
bool IsPostmasterAlive(const PidFileContent& content);

}  // namespace warren

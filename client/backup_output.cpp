#include "client/backup_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "client/interrupt.h"
#include "client/tar.h"

namespace warren {
namespace {

namespace fs = std::filesystem;

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

Status WriteFully(int fd, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    RETURN_IF_ERROR(CheckInterrupted());
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, name, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

class DirectoryOutput : public BackupOutput {
 public:
  DirectoryOutput(std::string directory, bool made_directory)
      : directory_(std::move(directory)), made_directory_(made_directory) {}

  Status BeginFile(const std::string& path, uint64_t) override {
    path_ = directory_ + "/" + path;
    RETURN_IF_ERROR(MakeParent());
    fd_.Reset(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd_.valid()) return SystemError(errno, Named(), "cannot create");
    return {};
  }

  Status Write(std::span<const std::byte> bytes) override {
    return WriteFully(fd_.get(), bytes, Named());
  }

  Status EndFile() override {
    if (fsync(fd_.get()) != 0) return SystemError(errno, Named(), "cannot sync");
    fd_.Reset();
    return {};
  }

  Status Finish() override {
    for (const std::string& made : made_) RETURN_IF_ERROR(SyncDirectory(made));
    RETURN_IF_ERROR(SyncDirectory(directory_));
    return SyncDirectory(directory_ + "/..");
  }

  void Abandon() override {
    fd_.Reset();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory_, ignored)) {
      fs::remove_all(entry.path(), ignored);
    }
    if (made_directory_) fs::remove(directory_, ignored);
  }

 private:
  std::string Named() const { return fmt::format("backup file \"{}\"", path_); }

  Status MakeParent() {
    const std::string parent = ParentOf(path_);
    if (parent == directory_ || made_.contains(parent)) return {};
    if (mkdir(parent.c_str(), 0700) != 0) {
      return SystemError(errno, fmt::format("directory \"{}\"", parent), "cannot make it");
    }
    made_.insert(parent);
    return {};
  }

  std::string directory_;
  bool made_directory_;
  std::string path_;
  UniqueFd fd_;
  std::set<std::string> made_;
};

class TarOutput : public BackupOutput {
 public:
  TarOutput(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  Status BeginFile(const std::string& path, uint64_t bytes) override {
    padding_ = TarPaddingBytes(bytes);
    const std::string header = TarHeader(path, bytes, WallClockMs() / 1000);
    return Write(std::as_bytes(std::span(header)));
  }

  Status Write(std::span<const std::byte> bytes) override { return WriteFully(fd_, bytes, name_); }

  Status EndFile() override { return WriteZeros(padding_); }
  Status Finish() override { return WriteZeros(kTarEndBytes); }
  // The missing manifest and end tell the reader.
  void Abandon() override {}

 private:
  Status WriteZeros(size_t count) {
    const std::string zeros(count, '\0');
    return Write(std::as_bytes(std::span(zeros)));
  }

  int fd_;
  std::string name_;
  size_t padding_ = 0;
};

}  // namespace

Result<std::unique_ptr<BackupOutput>> OpenDirectoryOutput(const std::string& directory) {
  const std::string name = fmt::format("backup directory \"{}\"", directory);
  const bool made = mkdir(directory.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) {
    return SystemError(errno, name, "cannot make it");
  }
  std::error_code error;
  const bool empty = fs::is_empty(directory, error);
  if (error || !fs::is_directory(directory)) {
    return MakeError(ErrorCode::kGeneric, "{}: not a directory that can be read", name);
  }
  if (!empty) {
    return MakeError(ErrorCode::kGeneric, "{}: not empty, nothing in it is overwritten", name);
  }
  return std::unique_ptr<BackupOutput>(std::make_unique<DirectoryOutput>(directory, made));
}

std::unique_ptr<BackupOutput> OpenTarOutput(int fd, std::string name) {
  return std::make_unique<TarOutput>(fd, std::move(name));
}

}  // namespace warren

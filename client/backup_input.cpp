#include "client/backup_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "client/tar.h"

namespace warren {
namespace {

namespace fs = std::filesystem;

class DirectoryInput : public BackupInput {
 public:
  explicit DirectoryInput(std::string directory) : directory_(std::move(directory)) {}

  Status List() {
    std::error_code error;
    fs::recursive_directory_iterator at(directory_, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
      if (!at->is_regular_file()) continue;
      paths_.push_back(at->path().lexically_relative(directory_).string());
    }
    if (error) {
      return SystemError(error.value(), fmt::format("backup \"{}\"", directory_), "cannot read");
    }
    std::sort(paths_.begin(), paths_.end());
    return {};
  }

  Result<std::optional<BackupEntry>> Next() override {
    if (next_ == paths_.size()) return std::optional<BackupEntry>();
    const std::string& path = paths_[next_++];
    name_ = fmt::format("backup file \"{}/{}\"", directory_, path);
    fd_.Reset(open((directory_ + "/" + path).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd_.valid()) return SystemError(errno, name_, "cannot open");
    const off_t bytes = lseek(fd_.get(), 0, SEEK_END);
    if (bytes < 0 || lseek(fd_.get(), 0, SEEK_SET) < 0) {
      return SystemError(errno, name_, "cannot find its size");
    }
    return std::optional<BackupEntry>({.path = path, .bytes = static_cast<uint64_t>(bytes)});
  }

  Result<size_t> Read(std::span<std::byte> bytes) override {
    for (;;) {
      const ssize_t n = read(fd_.get(), bytes.data(), bytes.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) return SystemError(errno, name_, "cannot read");
    }
  }

 private:
  std::string directory_;
  std::vector<std::string> paths_;
  size_t next_ = 0;
  std::string name_;
  UniqueFd fd_;
};

class TarInput : public BackupInput {
 public:
  TarInput(UniqueFd fd, const std::string& name) : fd_(std::move(fd)), reader_(fd_.get(), name) {}

  Result<std::optional<BackupEntry>> Next() override {
    ASSIGN_OR_RETURN(const std::optional<TarEntry> entry, reader_.Next());
    if (!entry.has_value()) return std::optional<BackupEntry>();
    return std::optional<BackupEntry>({.path = entry->path, .bytes = entry->bytes});
  }

  Result<size_t> Read(std::span<std::byte> bytes) override { return reader_.Read(bytes); }

 private:
  UniqueFd fd_;
  TarReader reader_;
};

}  // namespace

Result<std::unique_ptr<BackupInput>> OpenBackupInput(const std::string& path) {
  if (path == "-") {
    return std::unique_ptr<BackupInput>(
        std::make_unique<TarInput>(UniqueFd(dup(STDIN_FILENO)), "standard input"));
  }
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    auto directory = std::make_unique<DirectoryInput>(path);
    RETURN_IF_ERROR(directory->List());
    return std::unique_ptr<BackupInput>(std::move(directory));
  }
  const std::string name = fmt::format("backup \"{}\"", path);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, name, "cannot open");
  return std::unique_ptr<BackupInput>(std::make_unique<TarInput>(std::move(fd), name));
}

}  // namespace warren

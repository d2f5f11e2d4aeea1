#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/unique_fd.h"

namespace warren {
namespace {

std::string Quoted(const std::string& path) { return fmt::format("file \"{}\"", path); }

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Appends what is left of `fd` to `text`.
Status ReadRest(int fd, const std::string& path, std::string& text) {
  char part[16 * 1024];
  for (;;) {
    const ssize_t n = read(fd, part, sizeof part);
    if (n == 0) return {};
    if (n > 0) {
      text.append(part, static_cast<size_t>(n));
    } else if (errno != EINTR) {
      return SystemError(errno, Quoted(path), "cannot read");
    }
  }
}

// The steps of WriteFileAtomically that may leave `temporary` behind.
Status WriteAndRename(const std::string& path, const std::string& temporary,
                      std::string_view content, unsigned mode) {
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, Quoted(temporary), "cannot create");
  if (fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) {
    return SystemError(errno, Quoted(temporary), "cannot set permissions");
  }
  RETURN_IF_ERROR(PwriteFully(fd.get(), std::as_bytes(std::span(content)), 0, Quoted(temporary)));
  if (fsync(fd.get()) != 0) return SystemError(errno, Quoted(temporary), "cannot sync");
  // After the sync: a name that stands for bytes not yet on disk could survive a power cut alone.
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return SystemError(errno, Quoted(path), "cannot rename over it");
  }
  return SyncDirectory(DirectoryOf(path));
}

}  // namespace

Error SystemError(int error_number, std::string_view file, std::string_view what) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return MakeError(full ? ErrorCode::kNoSpace : ErrorCode::kIo, "{}: {}: {}", file, what,
                   std::strerror(error_number));
}

Result<std::string> ReadWholeFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, Quoted(path), "cannot open");
  std::string text;
  RETURN_IF_ERROR(ReadRest(fd.get(), path, text));
  return text;
}

void RemoveLeftoversOf(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
  if (stream == nullptr) return;
  const std::string prefix =
      fmt::format("{}.tmp.", std::string_view(path).substr(path.rfind('/') + 1));
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) names.emplace_back(entry->d_name);
  }
  for (const std::string& name : names) unlink(fmt::format("{}/{}", directory, name).c_str());
}

Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
  struct stat old;
  if (stat(path.c_str(), &old) == 0) mode = old.st_mode & 07777u;
  const std::string temporary = fmt::format("{}.tmp.{}", path, getpid());
  Status status = WriteAndRename(path, temporary, content, mode);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

Status SyncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::string name = fmt::format("directory \"{}\"", path);
  if (!fd.valid()) return SystemError(errno, name, "cannot open");
  if (fsync(fd.get()) != 0) return SystemError(errno, name, "cannot sync");
  return {};
}

Status PreadFully(int fd, std::span<std::byte> bytes, uint64_t offset, std::string_view file) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (n == 0) {
      return MakeError(ErrorCode::kCorrupt, "{} offset {}: file ends here, {} bytes missing", file,
                       offset + done, bytes.size() - done);
    } else if (errno != EINTR) {
      return SystemError(errno, fmt::format("{} offset {}", file, offset + done), "cannot read");
    }
  }
  return {};
}

Status PwriteFully(int fd, std::span<const std::byte> bytes, uint64_t offset,
                   std::string_view file) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      return SystemError(errno, fmt::format("{} offset {}", file, offset + done), "cannot write");
    }
  }
  return {};
}

}  // namespace warren

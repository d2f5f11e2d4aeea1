#include "storage/wal_segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/unique_fd.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

// A segment that is being made, by one process at a time: what a dead one left of it is
// overwritten.
constexpr std::string_view kTemporaryName = "new.segment";
constexpr size_t kFillBytes = 1 << 20;

std::string g_directory;

// The segment this process used last; writing and syncing nearly always concern the same one.
struct OpenSegment {
  uint64_t number = 0;
  UniqueFd fd;
};
OpenSegment g_open;

std::string PathOf(uint64_t segment_no) {
  return fmt::format("{}/{}", g_directory, WalSegmentName(segment_no));
}

Result<int> Descriptor(uint64_t segment_no) {
  if (g_open.fd.valid() && g_open.number == segment_no) return g_open.fd.get();
  const std::string path = PathOf(segment_no);
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, path, "open");
  g_open = OpenSegment{segment_no, std::move(fd)};
  return g_open.fd.get();
}

// A new file full of zeros: written, not only reserved, so that a later sync has no block map to
// change and no disk can be full.
Status FillWithZeros(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, path, "create");
  const std::vector<std::byte> zeros(kFillBytes);
  for (uint64_t at = 0; at < kSegmentBytes; at += kFillBytes) {
    RETURN_IF_ERROR(PwriteFully(fd.get(), zeros, at, path));
  }
  if (fsync(fd.get()) != 0) return SystemError(errno, path, "fsync");
  return {};
}

Result<std::vector<std::string>> ListNames() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(g_directory.c_str()), closedir);
  if (!directory) return SystemError(errno, g_directory, "open directory");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory.get())) names.emplace_back(entry->d_name);
  return names;
}

}  // namespace

void WalSegments::Bind(std::string directory) {
  g_directory = std::move(directory);
  g_open = {};
}

Status WalSegments::Ensure(uint64_t segment_no) {
  const std::string path = PathOf(segment_no);
  struct stat status;
  if (stat(path.c_str(), &status) == 0 && static_cast<uint64_t>(status.st_size) == kSegmentBytes) {
    // Whoever made it may have failed or died before its name was durable.
    return SyncDirectory(g_directory);
  }
  const std::string temporary = fmt::format("{}/{}", g_directory, kTemporaryName);
  if (Status filled = FillWithZeros(temporary); !filled.ok()) {
    unlink(temporary.c_str());
    return filled;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return SystemError(error, path, "rename");
  }
  return SyncDirectory(g_directory);
}

Status WalSegments::Write(Lsn at, const std::byte* bytes, size_t size) {
  ASSIGN_OR_RETURN(const int fd, Descriptor(SegmentOf(at)));
  return PwriteFully(fd, {bytes, size}, SegmentOffset(at), PathOf(SegmentOf(at)));
}

Status WalSegments::Sync(uint64_t segment_no) {
  ASSIGN_OR_RETURN(const int fd, Descriptor(segment_no));
  if (fdatasync(fd) != 0) return SystemError(errno, PathOf(segment_no), "fdatasync");
  return {};
}

Status WalSegments::SyncFrom(uint64_t first) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> present, List());
  for (const uint64_t number : present) {
    if (number < first) continue;
    RETURN_IF_ERROR(Sync(number));
    // A former life's sync may have failed and left bytes in memory that look written and are not;
    // what is read now has to come from the disk.
    ASSIGN_OR_RETURN(const int fd, Descriptor(number));
    if (const int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); error != 0) {
      return SystemError(error, PathOf(number), "fadvise");
    }
  }
  return SyncDirectory(g_directory);
}

Result<size_t> WalSegments::Read(Lsn at, std::byte* bytes, size_t size) {
  const std::string path = PathOf(SegmentOf(at));
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) return size_t{0};
    return SystemError(errno, path, "open");
  }
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        pread(fd.get(), bytes + done, size - done, static_cast<off_t>(SegmentOffset(at) + done));
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return SystemError(errno, path, fmt::format("read at offset {}", SegmentOffset(at) + done));
    done += static_cast<size_t>(n);
  }
  return done;
}

Result<std::vector<uint64_t>> WalSegments::List() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListNames());
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> number = ParseWalSegmentName(name))
      numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<uint32_t> WalSegments::RemoveBefore(uint64_t keep_from, uint64_t recycle_below) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> present, List());
  uint64_t next = present.empty() ? 0 : present.back() + 1;
  uint32_t gone = 0;
  for (const uint64_t number : present) {
    if (number >= keep_from) break;
    const std::string path = PathOf(number);
    // An older segment's records don't count at their new place: their checksums are seeded with
    // the old one.
    if (next < recycle_below) {
      if (rename(path.c_str(), PathOf(next++).c_str()) != 0)
        return SystemError(errno, path, "rename");
    } else if (unlink(path.c_str()) != 0) {
      return SystemError(errno, path, "remove");
    }
    ++gone;
  }
  if (gone > 0) RETURN_IF_ERROR(SyncDirectory(g_directory));
  return gone;
}

Status WalSegments::RemoveFrom(uint64_t first) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> present, List());
  for (const uint64_t number : present) {
    const std::string path = PathOf(number);
    if (number >= first && unlink(path.c_str()) != 0) return SystemError(errno, path, "remove");
  }
  return SyncDirectory(g_directory);
}

Status WalSegments::RemoveLeftovers() {
  const std::string path = fmt::format("{}/{}", g_directory, kTemporaryName);
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return SystemError(errno, path, "remove");
}

}  // namespace warren

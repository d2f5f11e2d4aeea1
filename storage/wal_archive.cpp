#include "storage/wal_archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
static_assert(kSegmentBytes % kPieceBytes == 0);

std::string Named(const std::string& path) { return fmt::format("archive file \"{}\"", path); }

// The next piece of a segment that must be there in full.
Status ReadPiece(uint64_t segment_no, uint64_t offset, std::vector<std::byte>& piece) {
  const Lsn at = segment_no * kSegmentBytes + offset;
  ASSIGN_OR_RETURN(const size_t read, WalSegments::Read(at, piece.data(), piece.size()));
  if (read == piece.size()) return {};
  return MakeError(ErrorCode::kCorrupt, "log file \"{}\" offset {}: it should have {} bytes",
                   WalSegmentName(segment_no), offset + read, kSegmentBytes);
}

Status CheckIsSame(int fd, const std::string& path, uint64_t segment_no) {
  std::vector<std::byte> ours(kPieceBytes);
  std::vector<std::byte> there(kPieceBytes);
  for (uint64_t offset = 0; offset < kSegmentBytes; offset += kPieceBytes) {
    RETURN_IF_ERROR(ReadPiece(segment_no, offset, ours));
    const Status read = PreadFully(fd, there, offset, Named(path));
    if (!read.ok() && read.error().code != ErrorCode::kCorrupt) return read;
    if (read.ok() && std::memcmp(ours.data(), there.data(), kPieceBytes) == 0) continue;
    return MakeError(ErrorCode::kGeneric,
                     "{}: there already with other bytes: the archive belongs to another history "
                     "of this store or to another server",
                     Named(path));
  }
  return {};
}

Status Copy(const std::string& temporary, uint64_t segment_no) {
  const UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, Named(temporary), "cannot create");
  std::vector<std::byte> piece(kPieceBytes);
  for (uint64_t offset = 0; offset < kSegmentBytes; offset += kPieceBytes) {
    RETURN_IF_ERROR(ReadPiece(segment_no, offset, piece));
    RETURN_IF_ERROR(PwriteFully(fd.get(), piece, offset, Named(temporary)));
  }
  if (fsync(fd.get()) != 0) return SystemError(errno, Named(temporary), "cannot sync");
  return {};
}

// Not over a file that has come meanwhile, where the file system can tell.
int RenameToNew(const std::string& from, const std::string& to) {
  const int done = renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (done == 0 || errno != EINVAL) return done;
  return rename(from.c_str(), to.c_str());
}

}  // namespace

Result<bool> ArchiveSegment(const std::string& archive, uint64_t segment_no) {
  const std::string path = fmt::format("{}/{}", archive, WalSegmentName(segment_no));
  const UniqueFd there(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (there.valid()) {
    RETURN_IF_ERROR(CheckIsSame(there.get(), path, segment_no));
    // Who gave it its name may have died before that was durable.
    RETURN_IF_ERROR(SyncDirectory(archive));
    return false;
  }
  if (errno != ENOENT) return SystemError(errno, Named(path), "cannot open");
  const std::string temporary = path + ".part";
  Status status = Copy(temporary, segment_no);
  if (status.ok() && RenameToNew(temporary, path) != 0) {
    status = SystemError(errno, Named(path), "cannot rename to it");
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return std::move(status).error();
  }
  RETURN_IF_ERROR(SyncDirectory(archive));
  return true;
}

}  // namespace warren

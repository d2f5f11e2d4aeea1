#include "postmaster/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/iso_time.h"
#include "base/unique_fd.h"
#include "client/backup_input.h"
#include "client/interrupt.h"
#include "client/progress.h"
#include "postmaster/backup_files.h"
#include "storage/control_file.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

namespace fs = std::filesystem;

std::string Moment(Lsn lsn, std::optional<int64_t> time_us) {
  return time_us ? fmt::format("{:#x} ({})", lsn, FormatUtc(*time_us)) : fmt::format("{:#x}", lsn);
}

// The new data directory; takes back what was made in it unless it is kept.
class NewDirectory {
 public:
  static Result<NewDirectory> Make(const std::string& path) {
    const std::string name = fmt::format("data directory \"{}\"", path);
    const bool made = mkdir(path.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return SystemError(errno, name, "cannot make it");
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (entry.path().filename() == "lost+found") continue;
      return MakeError(ErrorCode::kGeneric, "{}: not empty, nothing in it is overwritten", name);
    }
    if (error) return SystemError(error.value(), name, "cannot read");
    NewDirectory directory(path, made);
    for (const char* part : {"/base", "/wal"}) {
      if (mkdir((path + part).c_str(), 0700) != 0) {
        return SystemError(errno, name, fmt::format("cannot make {}", part + 1));
      }
    }
    return directory;
  }
  NewDirectory(NewDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), made_(other.made_) {}
  NewDirectory& operator=(NewDirectory&&) = delete;

  ~NewDirectory() {
    if (path_.empty()) return;
    std::error_code ignored;
    for (const char* part : {"/base", "/wal"}) fs::remove_all(path_ + part, ignored);
    fs::remove(ControlPath(path_), ignored);
    if (made_) fs::remove(path_, ignored);
  }

  const std::string& path() const { return path_; }
  void Keep() { path_.clear(); }

 private:
  NewDirectory(std::string path, bool made) : path_(std::move(path)), made_(made) {}
  std::string path_;
  bool made_;
};

// Log files from the archives.
class Archives {
 public:
  Archives(const RestoreOptions& options, const BackupManifest& manifest, Progress& progress)
      : options_(options), manifest_(manifest), progress_(progress) {}

  // Puts the first archive's segment in place; false: none has it.
  Result<bool> Fetch(uint64_t segment_no) {
    RETURN_IF_ERROR(CheckInterrupted());
    for (const std::string& archive : options_.archives) {
      const std::string path = fmt::format("{}/{}", archive, WalSegmentName(segment_no));
      const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      const std::string name = fmt::format("archive file \"{}\"", path);
      if (!fd.valid() && errno == ENOENT) continue;
      if (!fd.valid()) return SystemError(errno, name, "cannot open");
      std::vector<std::byte> bytes(kSegmentBytes);
      RETURN_IF_ERROR(PreadFully(fd.get(), bytes, 0, name));
      const std::optional<SegmentIdentity> identity = IdentifySegment(bytes, segment_no);
      if (!identity.has_value()) continue;  // a file made ahead of need
      if (identity->system_id != manifest_.system_id) {
        return MakeError(ErrorCode::kGeneric,
                         "{}: it belongs to system {:016x}, the backup to {:016x}", name,
                         identity->system_id, manifest_.system_id);
      }
      RETURN_IF_ERROR(CheckPrefix(segment_no, bytes, name));
      RETURN_IF_ERROR(Put(segment_no, bytes));
      progress_.Say(fmt::format("log file {} from \"{}\"", WalSegmentName(segment_no), archive));
      return true;
    }
    return false;
  }

 private:
  // What the backup has of the segment must be the same: else it is another history's.
  Status CheckPrefix(uint64_t segment_no, std::span<const std::byte> bytes,
                     const std::string& name) {
    const Lsn begin = segment_no * kSegmentBytes;
    if (begin >= manifest_.stop_lsn) return {};
    std::vector<std::byte> own(std::min(kSegmentBytes, manifest_.stop_lsn - begin));
    ASSIGN_OR_RETURN(const size_t read, WalSegments::Read(begin, own.data(), own.size()));
    if (read == own.size() && std::memcmp(own.data(), bytes.data(), read) == 0) return {};
    return MakeError(ErrorCode::kGeneric,
                     "{}: not the same as the backup's: it belongs to another history of the store",
                     name);
  }

  Status Put(uint64_t segment_no, std::span<const std::byte> bytes) {
    const std::string path =
        fmt::format("{}/wal/{}", options_.directory, WalSegmentName(segment_no));
    const std::string name = fmt::format("file \"{}\"", path);
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return SystemError(errno, name, "cannot create");
    RETURN_IF_ERROR(PwriteFully(fd.get(), bytes, 0, name));
    if (fsync(fd.get()) != 0) return SystemError(errno, name, "cannot sync");
    return {};
  }

  const RestoreOptions& options_;
  const BackupManifest& manifest_;
  Progress& progress_;
};

// Does the log reach the backup's stop and the target, and is the target not before the stop?
Status CheckEnd(const LogEnd& end, const LogTarget& target, const BackupManifest& manifest) {
  const std::string stop = Moment(manifest.stop_lsn, manifest.stop_us);
  if (end.end < manifest.stop_lsn && end.target_reached) {
    return MakeError(
        ErrorCode::kGeneric,
        "the target lies before {}, where the backup was complete; earlier moments need "
        "an older backup",
        stop);
  }
  if (end.end < manifest.stop_lsn) {
    return MakeError(ErrorCode::kCorrupt, "the log ends before {}, which the backup needs: {}",
                     stop, end.reason);
  }
  const bool wanted = target.lsn.has_value() || target.time_us.has_value();
  // No record ends behind the position, but padding may.
  const bool reached = end.target_reached || (target.lsn.has_value() && *target.lsn <= end.end);
  if (!wanted || reached) return {};
  return MakeError(
      ErrorCode::kGeneric,
      "the target lies behind the log at hand, with which any moment from {} to {} can "
      "be restored; the latest without a target",
      stop, Moment(end.end, end.newest_time_us));
}

Status WriteControlFile(const std::string& directory, const BackupManifest& manifest,
                        const LogEnd& end) {
  ControlData control{};
  control.state = DirectoryState::kInUse;  // so that the start does redo
  control.system_id = manifest.system_id;
  // The start adds one: what it writes is told from all that was ever written at the same place.
  control.start_count = std::max<uint64_t>(manifest.start_count, end.newest_start_count);
  control.redo_begin = manifest.start_lsn;
  control.databases = manifest.databases;
  return WriteControl(directory, control);
}

Result<std::string> Restore(const RestoreOptions& options, Progress& progress) {
  ASSIGN_OR_RETURN(const auto input, OpenBackupInput(options.backup));
  ASSIGN_OR_RETURN(NewDirectory directory, NewDirectory::Make(options.directory));
  ASSIGN_OR_RETURN(const BackupManifest manifest,
                   UnpackBackup(*input, options.directory, progress));
  progress.Begin("reading the log", 0);
  WalSegments::Bind(options.directory + "/wal");
  Archives archives(options, manifest, progress);
  // The backup's last log file ends at the stop; an archive has all of it.
  if (SegmentOffset(manifest.stop_lsn) != 0) {
    ASSIGN_OR_RETURN([[maybe_unused]] const bool found,
                     archives.Fetch(SegmentOf(manifest.stop_lsn)));
  }
  ASSIGN_OR_RETURN(const LogEnd end,
                   FindLogEnd(manifest.start_lsn, options.target,
                              [&](uint64_t segment_no) { return archives.Fetch(segment_no); }));
  RETURN_IF_ERROR(CheckEnd(end, options.target, manifest));
  RETURN_IF_ERROR(CutLog(end.end));
  for (const char* part : {"/base", "/wal"}) {
    RETURN_IF_ERROR(SyncDirectory(options.directory + part));
  }
  RETURN_IF_ERROR(SyncDirectory(options.directory + "/.."));
  // Last: a directory with a control file is complete.
  RETURN_IF_ERROR(WriteControlFile(options.directory, manifest, end));
  directory.Keep();
  for (const PageNo page_no : manifest.damaged_pages) {
    progress.Say(fmt::format("warning: page {} was damaged when it was copied", page_no));
  }
  return Moment(end.end, end.newest_time_us);
}

}  // namespace

int RunRestore(const RestoreOptions& options) {
  signal(SIGXFSZ, SIG_IGN);  // a write beyond a file-size limit is an error code
  CatchInterrupts();
  Progress progress;
  const Result<std::string> restored = Restore(options, progress);
  if (!restored.ok()) {
    progress.Say(fmt::format("warren: restore failed: {}", restored.error().message));
    return 1;
  }
  progress.Say(fmt::format("restored to {} in \"{}\"; the first start applies the log", *restored,
                           options.directory));
  return 0;
}

}  // namespace warren

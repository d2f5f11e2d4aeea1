#include "postmaster/backup_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/running_checksum.h"
#include "base/unique_fd.h"
#include "client/interrupt.h"
#include "storage/data_file.h"
#include "storage/page.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint64_t kMostManifestBytes = 64 << 20;
static_assert(kPieceBytes % kPageBytes == 0 && kSegmentBytes % kPieceBytes == 0);

Error Corrupt(std::string_view path, std::string_view what) {
  return MakeError(ErrorCode::kCorrupt, "backup file \"{}\": {}", path, what);
}

bool IsLogFile(std::string_view path) {
  return path.starts_with(kLogPrefix) &&
         ParseWalSegmentName(path.substr(kLogPrefix.size())).has_value();
}

class Unpacker {
 public:
  Unpacker(BackupInput& input, const std::string& directory, Progress& progress)
      : input_(input), directory_(directory), progress_(progress), piece_(kPieceBytes) {}

  Result<BackupManifest> Run() {
    for (;;) {
      ASSIGN_OR_RETURN(const std::optional<BackupEntry> entry, input_.Next());
      if (!entry.has_value()) break;
      RETURN_IF_ERROR(Take(*entry));
    }
    if (manifest_text_.empty()) {
      return Corrupt(kManifestName, "there is none: the backup was not finished, or this is none");
    }
    ASSIGN_OR_RETURN(const BackupManifest manifest, ParseManifest(manifest_text_));
    RETURN_IF_ERROR(CheckVersions(manifest));
    RETURN_IF_ERROR(CheckFiles(manifest));
    RETURN_IF_ERROR(CheckLog(manifest));
    return manifest;
  }

 private:
  struct BadPage {
    PageNo page_no;
    std::string message;
  };

  Status Take(const BackupEntry& entry) {
    if (entry.path == kManifestName) return TakeManifest(entry);
    const bool is_data = entry.path == kDataFileName;
    if (!is_data && !IsLogFile(entry.path)) return {};  // somebody's notes
    if (!is_data && entry.bytes > kSegmentBytes) {
      return Corrupt(entry.path, fmt::format("{} bytes are too many for a log file", entry.bytes));
    }
    progress_.Begin(fmt::format("copying {}", entry.path), entry.bytes);
    return Copy(entry, is_data);
  }

  Status TakeManifest(const BackupEntry& entry) {
    if (entry.bytes > kMostManifestBytes) return Corrupt(entry.path, "too large for a manifest");
    for (;;) {
      ASSIGN_OR_RETURN(const size_t read, ReadPiece());
      manifest_text_.append(reinterpret_cast<const char*>(piece_.data()), read);
      if (read < piece_.size()) return {};
    }
  }

  // Fills piece_, but at the file's end.
  Result<size_t> ReadPiece() {
    size_t done = 0;
    while (done < piece_.size()) {
      ASSIGN_OR_RETURN(const size_t n, input_.Read(std::span(piece_).subspan(done)));
      if (n == 0) break;
      done += n;
    }
    return done;
  }

  Status Copy(const BackupEntry& entry, bool is_data) {
    const std::string path = directory_ + "/" + entry.path;
    const std::string name = fmt::format("file \"{}\"", path);
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return SystemError(errno, name, "cannot create");
    RunningChecksum checksum;
    uint64_t done = 0;
    for (;;) {
      RETURN_IF_ERROR(CheckInterrupted());
      ASSIGN_OR_RETURN(const size_t read, ReadPiece());
      const std::span<std::byte> bytes = std::span(piece_).first(read);
      checksum.Add(bytes);
      RETURN_IF_ERROR(PwriteFully(fd.get(), bytes, done, name));
      if (is_data) NoteBadPages(static_cast<PageNo>(done / kPageBytes), bytes);
      done += read;
      progress_.Advance(read);
      if (read < piece_.size()) break;
    }
    found_.push_back({.path = entry.path, .bytes = done, .checksum = checksum.Value()});
    if (!is_data) RETURN_IF_ERROR(FillUp(fd.get(), done, name));
    if (fsync(fd.get()) != 0) return SystemError(errno, name, "cannot sync");
    return {};
  }

  // Takes the checksums out of the pages in `bytes`, which are written already.
  void NoteBadPages(PageNo first, std::span<std::byte> bytes) {
    for (size_t i = 0; (i + 1) * kPageBytes <= bytes.size(); ++i) {
      const auto page_no = static_cast<PageNo>(first + i);
      const Status verified =
          VerifyPage(page_no, PageBytes(bytes.subspan(i * kPageBytes).data(), kPageBytes));
      if (!verified.ok()) bad_pages_.push_back({page_no, verified.error().message});
    }
  }

  static Status FillUp(int fd, uint64_t from, const std::string& name) {
    const std::vector<std::byte> zeros(kPieceBytes);
    while (from < kSegmentBytes) {
      const auto size = static_cast<size_t>(std::min<uint64_t>(zeros.size(), kSegmentBytes - from));
      RETURN_IF_ERROR(PwriteFully(fd, std::span(zeros).first(size), from, name));
      from += size;
    }
    return {};
  }

  static Status CheckVersions(const BackupManifest& manifest) {
    if (manifest.format_version == kFormatVersion && manifest.page_bytes == kPageBytes &&
        manifest.segment_bytes == kSegmentBytes) {
      return {};
    }
    return Corrupt(
        kManifestName,
        fmt::format("made by warren {}: format version {}, pages of {} and log files of "
                    "{} bytes; this program reads {}, {} and {}",
                    manifest.program_version, manifest.format_version, manifest.page_bytes,
                    manifest.segment_bytes, kFormatVersion, kPageBytes, kSegmentBytes));
  }

  const BackupFile* Find(std::string_view path) const {
    const auto at = std::find_if(found_.begin(), found_.end(),
                                 [&](const BackupFile& file) { return file.path == path; });
    return at == found_.end() ? nullptr : &*at;
  }

  Status CheckFiles(const BackupManifest& manifest) const {
    for (const BackupFile& expected : manifest.files) {
      const BackupFile* found = Find(expected.path);
      if (found == nullptr) return Corrupt(expected.path, "missing");
      if (found->bytes != expected.bytes) {
        return Corrupt(expected.path,
                       fmt::format("it has {} bytes instead of {}", found->bytes, expected.bytes));
      }
      // A damaged page says more than the file's checksum.
      if (expected.path == kDataFileName) RETURN_IF_ERROR(CheckPages(manifest));
      if (found->checksum != expected.checksum) {
        return Corrupt(expected.path,
                       fmt::format("checksum mismatch, expected {:#018x} found {:#018x}",
                                   expected.checksum, found->checksum));
      }
    }
    for (const BackupFile& found : found_) {
      const bool listed =
          std::any_of(manifest.files.begin(), manifest.files.end(),
                      [&](const BackupFile& file) { return file.path == found.path; });
      if (!listed) return Corrupt(found.path, "the manifest does not know it");
    }
    return {};
  }

  // Those which were damaged when they were read may be: redo may have their images.
  Status CheckPages(const BackupManifest& manifest) const {
    for (const BadPage& bad : bad_pages_) {
      const auto& known = manifest.damaged_pages;
      if (std::find(known.begin(), known.end(), bad.page_no) == known.end()) {
        return MakeError(ErrorCode::kCorrupt, "backup: {}", bad.message);
      }
    }
    return {};
  }

  Status CheckLog(const BackupManifest& manifest) const {
    if (Find(kDataFileName) == nullptr) return Corrupt(kDataFileName, "missing");
    const Lsn start = manifest.start_lsn;
    const Lsn stop = manifest.stop_lsn;
    const Lsn begin = manifest.log_begin_lsn;
    if (begin < kFirstLsn || start < begin || stop <= start) {
      return Corrupt(
          kManifestName,
          fmt::format("a log from {:#x} over {:#x} to {:#x} means nothing", begin, start, stop));
    }
    for (uint64_t number = SegmentOf(begin); number <= SegmentOf(stop - 1); ++number) {
      const BackupFile* file = Find(BackupLogPath(number));
      const uint64_t needed = std::min(kSegmentBytes, stop - number * kSegmentBytes);
      if (file == nullptr) return Corrupt(BackupLogPath(number), "missing");
      if (file->bytes < needed) {
        return Corrupt(file->path, fmt::format("it ends at {} instead of {}", file->bytes, needed));
      }
    }
    return {};
  }

  BackupInput& input_;
  const std::string& directory_;
  Progress& progress_;
  std::vector<std::byte> piece_;
  std::string manifest_text_;
  std::vector<BackupFile> found_;
  std::vector<BadPage> bad_pages_;
};

}  // namespace

Result<BackupManifest> UnpackBackup(BackupInput& input, const std::string& directory,
                                    Progress& progress) {
  return Unpacker(input, directory, progress).Run();
}

}  // namespace warren

#include "storage/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/ordered_store.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit_reserve.h"
#include "storage/page.h"
#include "storage/storage_failure.h"
#include "storage/truncate.h"

namespace warren {
namespace {

constexpr std::string_view kFileName = "data file \"base/main\"";

// A sixteenth of the file at a time, between 1 MiB and 64 MiB.
constexpr PageNo kMinChunkPages = 128;
constexpr PageNo kMaxChunkPages = 8192;

uint64_t OffsetOf(PageNo page_no) { return uint64_t{page_no} * kPageBytes; }

bool AllZero(ConstPageBytes page) {
  return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, kPageBytes - 1) == 0;
}

uint64_t PageChecksum(std::byte* page, PageNo page_no) {
  HeaderOf(page).checksum = 0;
  return Checksum64({page, kPageBytes}, page_no);
}

}  // namespace

Status VerifyPage(PageNo page_no, PageBytes page) {
  if (AllZero(page)) return {};
  PageHeader& header = HeaderOf(page.data());
  const uint64_t found = header.checksum;
  const uint64_t expected = PageChecksum(page.data(), page_no);
  if (found != expected) {
    return MakeError(ErrorCode::kCorrupt, "{}: checksum mismatch, expected {:#018x} found {:#018x}",
                     DescribePage(page_no), expected, found);
  }
  if (header.page_no != page_no) {
    return MakeError(ErrorCode::kCorrupt, "{}: it calls itself page {}", DescribePage(page_no),
                     header.page_no);
  }
  return {};
}

std::string DescribePage(PageNo page_no) { return fmt::format("{} page {}", kFileName, page_no); }

DataFile& DataFile::Get() {
  static DataFile file;
  return file;
}

Status DataFile::Open(const std::string& path, const std::string& directory, bool create) {
  return create ? OpenAs(path, directory, O_RDWR | O_CREAT | O_EXCL, "cannot create")
                : OpenAs(path, directory, O_RDWR, "cannot open");
}

Status DataFile::OpenReadOnly(const std::string& path, const std::string& directory) {
  return OpenAs(path, directory, O_RDONLY, "cannot open");
}

Status DataFile::OpenAs(const std::string& path, const std::string& directory, int flags,
                        std::string_view failure) {
  fd_.Reset(open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd_.valid()) return SystemError(errno, fmt::format("data file \"{}\"", path), failure);
  read_only_ = (flags & O_ACCMODE) == O_RDONLY;
  if (!read_only_) RETURN_IF_ERROR(OpenForSync(path));
  directory_ = directory;
  KeepStateHere();
  ASSIGN_OR_RETURN(const PageNo pages, PagesInFile());
  page_count_->store(pages);
  allocated_->store(pages);
  return {};
}

Status DataFile::OpenForSync(const std::string& path) {
  for (UniqueFd& fd : sync_fds_) {
    fd.Reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid())
      return SystemError(errno, fmt::format("data file \"{}\"", path), "cannot open");
  }
  return {};
}

void DataFile::KeepStateHere() {
  page_count_ = &own_page_count_;
  own_page_count_ = 0;
  allocated_ = &own_allocated_;
  own_allocated_ = 0;
  syncs_cut_off_ = &own_syncs_cut_off_;
  own_syncs_cut_off_ = 0;
}

void DataFile::ShareState() {
  WalState& state = Segment::Wal();
  state.data_file_pages.store(page_count());
  page_count_ = &state.data_file_pages;
  state.data_file_allocated.store(allocated_->load());
  allocated_ = &state.data_file_allocated;
  state.data_syncs_cut_off.store(0);
  syncs_cut_off_ = &state.data_syncs_cut_off;
}

void DataFile::Close() {
  fd_.Reset();
  for (UniqueFd& fd : sync_fds_) fd.Reset();
  KeepStateHere();
}

Result<PageNo> DataFile::PagesInFile() const {
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) return SystemError(errno, kFileName, "cannot stat");
  return static_cast<PageNo>(static_cast<uint64_t>(status.st_size) / kPageBytes);
}

Status DataFile::ReadPage(PageNo page_no, PageBytes page) {
  // The buffer was tagged before this look: a cut moves the end first and then waits for buffers of
  // pages beyond it, so what was read from the file is there until it has been read.
  if (page_no >= page_count()) {
    std::memset(page.data(), 0, kPageBytes);
    return {};
  }
  {
    ScopedWait wait(WaitEvent::kDataFileRead);
    RETURN_IF_ERROR(PreadFully(fd_.get(), page, OffsetOf(page_no), kFileName));
  }
  return VerifyPage(page_no, page);
}

Result<PageNo> DataFile::ReadUnchecked(PageNo first, std::span<std::byte> bytes) {
  ScopedWait wait(WaitEvent::kDataFileRead);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pread(fd_.get(), bytes.data() + done, bytes.size() - done,
                            static_cast<off_t>(OffsetOf(first) + done));
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, DescribePage(first), "cannot read");
    done += static_cast<size_t>(n);
  }
  return static_cast<PageNo>(done / kPageBytes);
}

Status DataFile::WritePage(PageNo page_no, ConstPageBytes page) {
  alignas(8) thread_local std::byte copy[kPageBytes];
  std::memcpy(copy, page.data(), kPageBytes);
  HeaderOf(copy).page_no = page_no;
  HeaderOf(copy).checksum = PageChecksum(copy, page_no);
  ScopedWait wait(WaitEvent::kDataFileWrite);
  return PwriteFully(fd_.get(), copy, OffsetOf(page_no), DescribePage(page_no));
}

Status DataFile::Sync() {
  ScopedWait wait(WaitEvent::kDataFileSync);
  Stats::Add(StatId::kDataFileSyncs);
  const uint32_t cut_off = syncs_cut_off_->load();
  if (cut_off >= sync_fds_.size()) {
    errno = EIO;
    return MakeError(ErrorCode::kIo, "{}: the last {} syncs were cut off, what they found is lost",
                     kFileName, cut_off);
  }
  // Before the call, which takes what it reports from this description.
  StoreBefore(*syncs_cut_off_, cut_off + 1);
  FAULT_POINT(kDataSync);
  if (fdatasync(sync_fds_[cut_off].get()) != 0) return SystemError(errno, kFileName, "cannot sync");
  FAULT_POINT(kDataSynced);
  // Nothing has been lost since the file was opened: the others would be told the same.
  StoreAfter(*syncs_cut_off_, 0u);
  return {};
}

Status DataFile::Allocate(PageNo first, PageNo count) {
  int error;
  do {
    error = posix_fallocate(fd_.get(), static_cast<off_t>(OffsetOf(first)),
                            static_cast<off_t>(OffsetOf(count)));
  } while (error == EINTR);
  if (error == 0) return {};
  return SystemError(error, fmt::format("data directory \"{}\"", directory_),
                     fmt::format("cannot extend the data file beyond {} pages", first));
}

Status DataFile::GrowTo(PageNo page_count) {
  const PageNo end = this->page_count();
  if (page_count <= end) return {};
  if (!read_only_) RETURN_IF_ERROR(AllocateTo(page_count));
  page_count_->store(page_count);
  return {};
}

// With the data file lock, or alone.
Status DataFile::AllocateTo(uint64_t page_count) {
  const PageNo end = allocated_->load();
  if (page_count <= end) return {};
  const auto wanted = static_cast<PageNo>(page_count);
  RETURN_IF_ERROR(Allocate(end, wanted - end));
  allocated_->store(wanted);
  return {};
}

Status DataFile::Reserve(PageNo pages) {
  std::atomic<PageNo>& own = ReserveInUse()->pages;
  {
    const SharedLock lock(Segment::DataFileLock());
    // First stored, then counted: of two who do so at once, one counts both.
    own.store(pages);
    // What a cut takes away that is still to be made does not count.
    const bool all_stays = Segment::Wal().data_file_cut.load() == FileCut::kNone;
    if (all_stays && page_count() + ReservedPages() <= allocated_->load()) return {};
  }
  const ExclusiveLock lock(Segment::DataFileLock());
  if (StorageHasFailed()) return StorageFailure();
  Status allocated = FinishCut();
  if (allocated.ok()) allocated = AllocateTo(page_count() + ReservedPages());
  if (!allocated.ok()) own.store(0);
  return allocated;
}

// With the data file lock. One page: what is in the file may go to anybody.
bool DataFile::DrawOnReserve() {
  SlotReserve* const own = ReserveInUse();
  if (own == nullptr || own->pages.load() == 0 || page_count() >= allocated_->load()) return false;
  own->pages.fetch_sub(1);
  page_count_->fetch_add(1);
  return true;
}

Status DataFile::CutToEnd() {
  if (read_only_) return {};
  RETURN_IF_FAULT(kCutFile);
  const ScopedWait wait(WaitEvent::kDataFileExtend);
  if (ftruncate(fd_.get(), static_cast<off_t>(OffsetOf(page_count()))) != 0) {
    return SystemError(errno, kFileName, "cannot cut its end off");
  }
  RETURN_IF_FAULT(kCutSync);
  // The length is what has to be durable: fdatasync may leave a shorter one for later.
  Stats::Add(StatId::kDataFileSyncs);
  if (fsync(fd_.get()) != 0) return SystemError(errno, kFileName, "cannot sync");
  FAULT_POINT(kCutDone);
  allocated_->store(page_count());
  return {};
}

PageNo DataFile::ChunkAt(PageNo page_count) {
  return std::clamp(page_count / 16, kMinChunkPages, kMaxChunkPages);
}

Status DataFile::GrowBeyond(PageNo known_count) {
  ExclusiveLock lock(Segment::DataFileLock());
  if (page_count() > known_count) return {};
  // A cut that failed has left pages behind the end that are not all zeros.
  if (StorageHasFailed()) return StorageFailure();
  RETURN_IF_ERROR(FinishCut());
  ScopedWait wait(WaitEvent::kDataFileExtend);
  for (PageNo chunk = ChunkAt(page_count());; chunk /= 2) {
    Status status = AllocateTo(page_count() + chunk + ReservedPages());
    if (status.ok()) {
      page_count_->store(page_count() + chunk);
      return {};
    }
    if (status.error().code != ErrorCode::kNoSpace) return status;
    if (chunk == 1) return DrawOnReserve() ? Status() : std::move(status);
  }
}

}  // namespace warren

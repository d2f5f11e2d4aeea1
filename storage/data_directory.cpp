#include "storage/data_directory.h"

#include <dirent.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "storage/commit.h"
#include "storage/control_file.h"
#include "storage/data_file.h"
#include "storage/database_counts.h"
#include "storage/death_repair.h"
#include "storage/lsn_text.h"
#include "storage/map_page.h"
#include "storage/mini_transaction.h"
#include "storage/operation.h"
#include "storage/redo.h"
#include "storage/tree.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

constexpr PageNo kInitialPages = 64;

// Of the postmaster and every process forked after Open.
std::string g_directory;
ControlData g_control;
bool g_was_in_use = false;  // when it was opened: it had not been shut down cleanly

std::string BasePath(const std::string& directory) { return directory + "/base"; }
std::string DataPath(const std::string& directory) {
  return DataDirectory::DataFilePath(directory);
}
std::string WalPath(const std::string& directory) { return DataDirectory::WalPath(directory); }

std::string Named(const std::string& directory) {
  return fmt::format("data directory \"{}\"", directory);
}

bool IsIgnoredEntry(std::string_view name) {
  // A file system's own directory, and the postmaster's lock, which may be there before the rest.
  return name == "." || name == ".." || name == "lost+found" || name == "postmaster.pid";
}

Result<bool> HasEntries(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
  if (stream == nullptr) return SystemError(errno, Named(directory), "cannot open");
  while (const dirent* entry = readdir(stream.get())) {
    if (!IsIgnoredEntry(entry->d_name)) return true;
  }
  return false;
}

Result<uint64_t> RandomId() {
  uint64_t id = 0;
  while (id == 0) {
    if (getrandom(&id, sizeof id, 0) != sizeof id) {
      return SystemError(errno, "system id", "no random numbers");
    }
  }
  return id;
}

// -- Making a new one.

struct PageImage {
  alignas(8) std::byte bytes[kPageBytes] = {};
};

PageHeader& Begin(PageImage& page, PageType type) {
  page = PageImage{};
  PageHeader& header = HeaderOf(page.bytes);
  header.type = type;
  header.lsn = header.birth_lsn = kFirstLsn;
  header.lower = header.upper = kPageBytes;
  return header;
}

Status WriteFixedPages(DataFile& file, uint64_t system_id) {
  PageImage page;
  Begin(page, PageType::kFileHeader);
  auto& header = *reinterpret_cast<FileHeader*>(page.bytes);
  std::memcpy(header.magic, kDataFileMagic, sizeof header.magic);
  header.format_version = kFormatVersion;
  header.page_bytes = kPageBytes;
  header.system_id = system_id;
  RETURN_IF_ERROR(file.WritePage(0, page.bytes));
  page = PageImage{};
  InitMapPage(*reinterpret_cast<MapPage*>(page.bytes), MapPageOfGroup(0));
  RETURN_IF_ERROR(file.WritePage(MapPageOfGroup(0), page.bytes));
  for (uint32_t i = 0; i < kCatalogPages; ++i) {
    Begin(page, PageType::kCatalog);
    RETURN_IF_ERROR(file.WritePage(kFirstCatalogPage + i, page.bytes));
  }
  return file.Sync();
}

Status MakeFiles(const std::string& directory, uint32_t databases) {
  ASSIGN_OR_RETURN(const uint64_t system_id, RandomId());
  if (mkdir(BasePath(directory).c_str(), 0700) != 0) {
    return SystemError(errno, Named(directory), "cannot create base");
  }
  if (mkdir(WalPath(directory).c_str(), 0700) != 0) {
    return SystemError(errno, Named(directory), "cannot create wal");
  }
  DataFile file;
  RETURN_IF_ERROR(file.Open(DataPath(directory), directory, /*create=*/true));
  RETURN_IF_ERROR(file.GrowTo(kInitialPages));
  RETURN_IF_ERROR(WriteFixedPages(file, system_id));
  RETURN_IF_ERROR(SyncDirectory(BasePath(directory)));
  // Last: a directory with a control file is complete.
  ControlData control{};
  control.state = DirectoryState::kClean;
  control.system_id = system_id;
  control.redo_begin = kFirstLsn;
  control.databases = databases;
  return WriteControl(directory, control);
}

void RemoveFiles(const std::string& directory, bool made_directory) {
  unlink(DataPath(directory).c_str());
  rmdir(BasePath(directory).c_str());
  rmdir(WalPath(directory).c_str());
  unlink(ControlPath(directory).c_str());
  if (made_directory) rmdir(directory.c_str());
}

// -- Opening.

Status CheckDatabaseCount(uint32_t databases) {
  if (databases >= 1 && databases <= kMaxDatabases) return {};
  return MakeError(ErrorCode::kGeneric, "databases must be between 1 and {}, not {}", kMaxDatabases,
                   databases);
}

// After redo: a torn catalog page is whole again.
Status CheckNothingIsCutOff() {
  const uint32_t databases = Segment::Config().database_count;
  for (uint32_t database = databases; database < kMaxDatabases; ++database) {
    ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database));
    // The catalog counts keys at clean shutdowns only; after a crash, a tree is taken for keys.
    if (entry.keys == 0 && (!g_was_in_use || entry.root == kNoPage)) continue;
    return MakeError(ErrorCode::kGeneric, "{}: databases is {}, but database {} is not empty",
                     Named(g_directory), databases, database);
  }
  return {};
}

// After redo: what the counts of a tree that was dropped before the log began don't say.
Status LoadIncarnations() {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database));
    Segment::Database(database).incarnation.store(entry.incarnation);
  }
  return {};
}

Status StoreRedoBeginAs(DirectoryState state, Lsn redo_begin) {
  ControlData control = g_control;
  control.state = state;
  control.redo_begin = redo_begin;
  RETURN_IF_ERROR(WriteControl(g_directory, control));
  g_control = control;
  return {};
}

// What every process forked later inherits.
void BindStore(const std::string& directory, const ControlData& control, PageIo& pages) {
  Segment::Server().start_count.store(control.start_count, std::memory_order_seq_cst);
  BufferCache::Bind(&pages);
  ForgetRoots();
  BufferCache::SetLogFlushHook(Wal::Flush);
  WalSegments::Bind(WalPath(directory));
  Wal::Bind(
      {.system_id = control.system_id, .start_count = static_cast<uint32_t>(control.start_count)});
  RegisterStorageRepairs();
  g_directory = directory;
  g_control = control;
}

}  // namespace

bool DataDirectory::NeedsRecovery() { return g_was_in_use; }
const std::string& DataDirectory::Path() { return g_directory; }
std::string DataDirectory::DataFilePath(const std::string& directory) {
  return directory + "/base/main";
}
std::string DataDirectory::WalPath(const std::string& directory) { return directory + "/wal"; }

Status DataDirectory::CheckFileHeader(const std::string& directory, DataFile& file,
                                      uint64_t system_id) {
  PageImage page;
  RETURN_IF_ERROR(file.ReadPage(0, page.bytes));
  const auto& header = *reinterpret_cast<const FileHeader*>(page.bytes);
  if (header.page.type != PageType::kFileHeader ||
      std::memcmp(header.magic, kDataFileMagic, sizeof header.magic) != 0) {
    return MakeError(ErrorCode::kCorrupt, "data file \"{}\" offset {}: not a Warren data file",
                     DataPath(directory), offsetof(FileHeader, magic));
  }
  if (header.format_version != kFormatVersion || header.page_bytes != kPageBytes) {
    return MakeError(ErrorCode::kCorrupt,
                     "data file \"{}\" offset {}: format version {} with pages of {} bytes, this "
                     "program reads version {} with pages of {} bytes",
                     DataPath(directory), offsetof(FileHeader, format_version),
                     header.format_version, header.page_bytes, kFormatVersion, kPageBytes);
  }
  if (header.system_id != system_id) {
    return MakeError(ErrorCode::kCorrupt,
                     "data file \"{}\" offset {}: system id {:016x}, the control file belongs to "
                     "{:016x}",
                     DataPath(directory), offsetof(FileHeader, system_id), header.system_id,
                     system_id);
  }
  return {};
}

Status DataDirectory::CheckControl(const std::string& directory, const ControlData& control) {
  if (control.state == DirectoryState::kClean || control.state == DirectoryState::kInUse) return {};
  return MakeError(ErrorCode::kCorrupt, "control file \"{}\" offset {}: no state {}",
                   ControlPath(directory), offsetof(ControlData, state),
                   static_cast<uint32_t>(control.state));
}

Result<DataDirectory::Kind> DataDirectory::Inspect(const std::string& directory) {
  struct stat status;
  if (stat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return Kind::kMissing;
    return SystemError(errno, Named(directory), "cannot look at it");
  }
  if (!S_ISDIR(status.st_mode)) return Kind::kForeign;
  if (stat(ControlPath(directory).c_str(), &status) == 0) return Kind::kWarren;
  ASSIGN_OR_RETURN(const bool has_entries, HasEntries(directory));
  return has_entries ? Kind::kForeign : Kind::kEmpty;
}

Status DataDirectory::Init(const std::string& directory, uint32_t databases) {
  RETURN_IF_ERROR(CheckDatabaseCount(databases));
  ASSIGN_OR_RETURN(const Kind kind, Inspect(directory));
  if (kind == Kind::kWarren) {
    return MakeError(ErrorCode::kGeneric, "{}: it is one already", Named(directory));
  }
  if (kind == Kind::kForeign) {
    return MakeError(ErrorCode::kGeneric, "{}: it is neither empty nor Warren's", Named(directory));
  }
  const bool missing = kind == Kind::kMissing;
  if (missing && mkdir(directory.c_str(), 0700) != 0) {
    return SystemError(errno, Named(directory), "cannot create");
  }
  Status status = MakeFiles(directory, databases);
  if (status.ok()) status = SyncDirectory(directory + "/..");
  if (!status.ok()) RemoveFiles(directory, missing);
  return status;
}

Status DataDirectory::Open(const std::string& directory, uint32_t databases) {
  RETURN_IF_ERROR(CheckDatabaseCount(databases));
  ASSIGN_OR_RETURN(ControlData control, ReadControl(directory));
  RETURN_IF_ERROR(CheckControl(directory, control));
  DataFile& file = DataFile::Get();
  RETURN_IF_ERROR(file.Open(DataPath(directory), directory, /*create=*/false));
  file.ShareState();
  RETURN_IF_ERROR(CheckFileHeader(directory, file, control.system_id));
  g_was_in_use = control.state == DirectoryState::kInUse;
  control.state = DirectoryState::kInUse;
  control.databases = databases;
  ++control.start_count;
  RETURN_IF_ERROR(WriteControl(directory, control));
  BindStore(directory, control, file);
  return {};
}

void DataDirectory::OpenReadOnly(const std::string& directory, const ControlData& control,
                                 PageIo& pages) {
  g_was_in_use = control.state == DirectoryState::kInUse;
  BindStore(directory, control, pages);
}

Result<RedoSummary> DataDirectory::RedoFromCheckpoint() {
  // Pages written out during redo bear LSNs of a log that is on disk already.
  Segment::Wal().flush = ~Lsn{0};
  const Lsn redo_begin = g_control.redo_begin;
  ASSIGN_OR_RETURN(RedoSummary summary, Redo(redo_begin));
  if (summary.records == 0 && redo_begin != kFirstLsn) {
    return MakeError(
        ErrorCode::kCorrupt,
        "write-ahead log \"{}\": the checkpoint record at {} (segment {} offset {}), where "
        "redo begins, is missing or damaged",
        WalPath(g_directory), FormatLsn(redo_begin), WalSegmentName(SegmentOf(redo_begin)),
        SegmentOffset(redo_begin));
  }
  return summary;
}

Status DataDirectory::Recover() {
  RETURN_IF_ERROR(WalSegments::RemoveLeftovers());
  if (g_was_in_use) {
    log::Notice("{}: it was not shut down cleanly, redo begins at {}", Named(g_directory),
                FormatLsn(g_control.redo_begin));
  }
  // A process that died may have written what it could not sync any more. Redo reads that all the
  // same; so it must be durable before a page bears its LSN and before the log goes on behind it.
  RETURN_IF_ERROR(WalSegments::SyncFrom(SegmentOf(g_control.redo_begin)));
  ASSIGN_OR_RETURN(const RedoSummary summary, RedoFromCheckpoint());
  RETURN_IF_ERROR(CheckNothingIsCutOff());
  RETURN_IF_ERROR(LoadIncarnations());
  // The images in the log since `redo_begin` stay good: the log goes on, and redo would begin
  // there.
  WalState& state = Segment::Wal();
  state.checkpoint_start = g_control.redo_begin;
  state.redo_point = g_control.redo_begin;
  state.log_begin = summary.log_begin;
  RETURN_IF_ERROR(Wal::StartAt(summary.end));
  return FinishUnfinished(summary.unfinished);
}

namespace {

Result<Step> StoreCounts(uint32_t database) {
  const DatabaseCounts& counts = Segment::Database(database);
  const CatalogCountsPayload payload{CountOf(counts.keys.load()), CountOf(counts.expires.load())};
  ASSIGN_OR_RETURN(ExclusivePage catalog, BufferCache::GetExclusive(CatalogPageOf(database)));
  const CatalogEntry& entry = catalog.As<CatalogPage>().entries[CatalogIndexOf(database)];
  if (entry.keys == payload.keys && entry.expires == payload.expires) return Step::kDone;
  const auto from =
      static_cast<uint16_t>(reinterpret_cast<const std::byte*>(&entry) - catalog.bytes());
  MiniTransaction change(RecordType::kCatalogCounts, database, entry.incarnation);
  change.AddPage(catalog, PageRole::kCatalog,
                 {sizeof(PageHeader), from, static_cast<uint16_t>(from + sizeof(CatalogEntry))});
  change.AddPayload(payload);
  RETURN_IF_ERROR(change.Commit());
  return Step::kDone;
}

}  // namespace

Status DataDirectory::CloseCleanly() {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    RETURN_IF_ERROR(RunSteps([&] { return StoreCounts(database); }));
  }
  const Result<CheckpointSummary> summary =
      RunCheckpoint([](Lsn begin) { return StoreRedoBeginAs(DirectoryState::kClean, begin); },
                    [](uint32_t, uint32_t) {}, 0);
  return summary.ok() ? Status() : Status(summary.error());
}

Result<CheckpointSummary> DataDirectory::Checkpoint(CheckpointPace pace, uint64_t keep_segments) {
  return RunCheckpoint([](Lsn begin) { return StoreRedoBeginAs(DirectoryState::kInUse, begin); },
                       pace, keep_segments);
}

}  // namespace warren

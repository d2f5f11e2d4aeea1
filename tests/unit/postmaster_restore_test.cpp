// Backups whose pages were read at bad moments.
#include "postmaster/restore.h"

#include <doctest/doctest.h>

#include <cstring>
#include <map>

#include "base/file.h"
#include "base/running_checksum.h"
#include "client/backup_manifest.h"
#include "client/backup_output.h"
#include "shmem/buffer_cache.h"
#include "storage/backup_source.h"
#include "storage/page.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int kKeys = 500;

std::string Key(int i) { return fmt::format("key{:04}", i); }

void PutAll(const std::string& value) {
  for (int i = 0; i < kKeys; ++i) Put(Key(i), value + std::to_string(i));
  Put("large", std::string(50'000, value[0]));
}

void Checkpoint() {
  const auto made = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  REQUIRE(made.ok());
}

std::string DataBytes(const StoreWorld& world) {
  auto bytes = ReadWholeFile(world.path() + "/base/main");
  REQUIRE(bytes.ok());
  return std::move(bytes).value();
}

// Every page that differs: half of one version, half of the other.
std::string TearPages(const std::string& older, const std::string& newer) {
  std::string torn = older;
  for (size_t at = 0; at < older.size(); at += kPageBytes) {
    const bool older_first = at / kPageBytes % 2 == 0;
    const size_t half = kPageBytes / 2;
    torn.replace(at + (older_first ? half : 0), half, newer, at + (older_first ? half : 0), half);
  }
  return torn;
}

std::vector<PageNo> DamagedPages(std::string pages) {
  std::vector<PageNo> damaged;
  for (size_t at = 0; at < pages.size(); at += kPageBytes) {
    const auto page_no = static_cast<PageNo>(at / kPageBytes);
    auto* page = reinterpret_cast<std::byte*>(pages.data() + at);
    if (!VerifyPage(page_no, PageBytes(page, kPageBytes)).ok()) damaged.push_back(page_no);
  }
  return damaged;
}

// Writes a backup file by file, as the manifest wants it.
class BackupWriter {
 public:
  explicit BackupWriter(const std::string& path) {
    auto output = OpenDirectoryOutput(path);
    REQUIRE(output.ok());
    output_ = std::move(output).value();
  }
  void Add(const std::string& path, const std::string& content) {
    RunningChecksum checksum;
    checksum.Add(std::as_bytes(std::span(content)));
    manifest.files.push_back({path, content.size(), checksum.Value()});
    Write(path, content);
  }
  void AddLog() {
    const Lsn first = manifest.log_begin_lsn - SegmentOffset(manifest.log_begin_lsn);
    for (Lsn begin = first; begin < manifest.stop_lsn; begin += kSegmentBytes) {
      std::string content(std::min(kSegmentBytes, manifest.stop_lsn - begin), '\0');
      const auto read = BackupSource::ReadLog(begin, std::as_writable_bytes(std::span(content)));
      REQUIRE(read.ok());
      REQUIRE(*read == content.size());
      Add(BackupLogPath(SegmentOf(begin)), content);
    }
  }
  void Finish() { Write(std::string(kManifestName), ToJson(manifest)); }

  BackupManifest manifest;

 private:
  void Write(const std::string& path, const std::string& content) {
    MustSucceed(output_->BeginFile(path, content.size()));
    MustSucceed(output_->Write(std::as_bytes(std::span(content))));
    MustSucceed(output_->EndFile());
  }
  std::unique_ptr<BackupOutput> output_;
};

// Opens the restored directory in the place of `world`, whose store is stopped.
Status OpenRestored(const std::string& directory) {
  SegmentConfig config = SmallSegment(256);
  config.database_count = 4;
  MustSucceed(Segment::Create(config));
  StoreWorld::BecomeProcess(0);
  RETURN_IF_ERROR(DataDirectory::Open(directory, 4));
  RETURN_IF_ERROR(DataDirectory::Recover());
  return Store::Check();
}

// A backup whose pages are torn between two versions, of which the log from `start_lsn` on says how
// they became the newest; 0 for the start as it is. How many pages are torn.
size_t MakeTornBackup(StoreWorld& world, const std::string& path, bool images_in_log) {
  PutAll("first ");
  BackupSource::HoldLog();
  Checkpoint();
  const auto start = BackupSource::Begin();
  REQUIRE(start.ok());
  const std::string older = DataBytes(world);
  PutAll("other ");
  MustSucceed(Wal::FlushAll());
  MustSucceed(BufferCache::WriteAll());
  const std::string newer = DataBytes(world);
  const Lsn behind_images = Wal::InsertPosition();
  PutAll("newest ");
  const auto stop = BackupSource::Stop();
  REQUIRE(stop.ok());
  const std::string torn = TearPages(older, newer);
  BackupWriter writer(path);
  BackupManifest& manifest = writer.manifest;
  manifest.format_version = kFormatVersion;
  manifest.page_bytes = kPageBytes;
  manifest.segment_bytes = kSegmentBytes;
  manifest.system_id = start->system_id;
  manifest.start_count = start->start_count;
  manifest.databases = start->databases;
  manifest.log_begin_lsn = start->log_begin;
  manifest.start_lsn = images_in_log ? start->start : behind_images;
  manifest.stop_lsn = *stop;
  manifest.damaged_pages = DamagedPages(torn);
  writer.Add(std::string(kDataFileName), torn);
  writer.AddLog();
  writer.Finish();
  return manifest.damaged_pages.size();
}

}  // namespace

TEST_CASE("pages that a backup read while they were written are rebuilt from their images") {
  const TemporaryDirectory root;
  StoreWorld world(64);
  CHECK(MakeTornBackup(world, root.path() + "/backup", true) > 5);
  world.Stop();
  REQUIRE(RunRestore({.backup = root.path() + "/backup",
                      .directory = root.path() + "/data",
                      .archives = {},
                      .target = {}}) == 0);
  const Status opened = OpenRestored(root.path() + "/data");
  REQUIRE_MESSAGE(opened.ok(), opened.error().message);
  for (int i = 0; i < kKeys; ++i) CHECK(Get(Key(i)) == "newest " + std::to_string(i));
  CHECK(Get("large") == std::string(50'000, 'n'));
  CHECK(Store::KeyCount(0) == kKeys + 1);
}

TEST_CASE("without the images in its log a backup with torn pages is found to be damaged") {
  const TemporaryDirectory root;
  StoreWorld world(64);
  CHECK(MakeTornBackup(world, root.path() + "/backup", false) > 5);
  world.Stop();
  REQUIRE(RunRestore({.backup = root.path() + "/backup",
                      .directory = root.path() + "/data",
                      .archives = {},
                      .target = {}}) == 0);
  CHECK_FALSE(OpenRestored(root.path() + "/data").ok());
}

TEST_CASE("a torn page that the manifest does not name makes the restore fail with its number") {
  const TemporaryDirectory root;
  const std::string backup = root.path() + "/backup";
  StoreWorld world(64);
  MakeTornBackup(world, backup, true);
  const auto text = ReadWholeFile(backup + "/backup.json");
  REQUIRE(text.ok());
  auto manifest = ParseManifest(*text);
  REQUIRE(manifest.ok());
  manifest->damaged_pages.pop_back();
  MustSucceed(WriteFileAtomically(backup + "/backup.json", ToJson(*manifest)));
  CHECK(RunRestore(
            {.backup = backup, .directory = root.path() + "/data", .archives = {}, .target = {}}) ==
        1);
  CHECK_FALSE(std::filesystem::exists(root.path() + "/data"));
}

}  // namespace warren::test

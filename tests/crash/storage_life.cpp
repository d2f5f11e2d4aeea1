#include "tests/crash/storage_life.h"

#include <unistd.h>

#include <csignal>
#include <random>

#include "base/log.h"
#include "lwlock/lwlock.h"
#include "shmem/buffer_cache.h"
#include "storage/checkpoint.h"
#include "storage/commit.h"
#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/reclaim.h"
#include "storage/storage_failure.h"
#include "storage/store.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "tests/support/segment_world.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr uint32_t kBuffers = 48;  // fewer than the pages: some are written to make room
constexpr int64_t kNow = 1;

SegmentConfig Config() { return SmallSegment(kBuffers); }

std::string KeyName(uint64_t n) { return fmt::format("key{:04}", n); }

Status TryChange(const std::string& key, std::optional<std::string_view> value) {
  const auto done = Store::Modify(0, key, kNow, NeedValue::kNo, [&](const Current&, uint64_t) {
    return value.has_value() ? Change{Change::kPut, *value, kNoExpiry}
                             : Change{Change::kErase, {}, kNoExpiry};
  });
  return done.ok() ? Status() : Status(done.error());
}

Status TryPut(History& history, const std::string& key, const std::string& value) {
  RETURN_IF_ERROR(TryChange(key, value));
  history.Put(key, value);
  return {};
}

Status TryErase(History& history, const std::string& key) {
  RETURN_IF_ERROR(TryChange(key, std::nullopt));
  history.Erase(key);
  return {};
}

// Behind the commit point a failure says nothing about what will be found.
Status TryCommit(History& history, std::vector<History::Change> changes) {
  std::vector<CommitOp> ops;
  for (const auto& [key, value] : changes) {
    if (key.empty()) {
      ops.push_back({CommitOp::kEmptyDatabase, 0, {}, {}, kNoExpiry});
    } else if (value.has_value()) {
      ops.push_back({CommitOp::kPut, 0, key, *value, kNoExpiry});
    } else {
      ops.push_back({CommitOp::kErase, 0, key, {}, kNoExpiry});
    }
  }
  Status done = CommitChanges(ops, kNow);
  if (done.ok() || ProcArray::Self().commit_lsn.load() != 0) history.Commit(std::move(changes));
  return done;
}

void TryAcknowledge(History& history) {
  if (Wal::FlushAll().ok()) history.Acknowledge();
}

Status TryCheckpoint() {
  const auto summary = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  return summary.ok() ? Status() : Status(summary.error());
}

void CutFile() {
  (void)CollectGarbage(1000);
  (void)CutFreeEnd(EndSlack::kNone);
}

// Pages ahead of the log, if nothing prevented that. What a failed sync has lost is known to
// nobody: as after one in a checkpoint, this life is over.
void WriteAndSync() {
  (void)BufferCache::WriteDirty([](uint32_t, uint32_t) {});
  if (!BufferCache::Sync().ok()) DeclareDataFileFailed(errno);
}

class Script {
 public:
  explicit Script(History& history) : history_(history) {}

  void Step(int i) {
    if (i == 40 || i == 90 || i == 120) return (void)TryCheckpoint();
    if (i == 105) {
      if (Store::Flush(0).ok()) history_.Clear();
      return;
    }
    if (i == 60 || i == 106 || i == 160) return CutFile();
    if (i % 7 == 3) {
      (void)TryCommit(history_, MakeCommit(i));
      if (random_() % 2 == 0) TryAcknowledge(history_);
      return;
    }
    const uint64_t kind = random_() % 100;
    if (kind < 50) {
      (void)TryPut(history_, KeyName(random_() % 600), NewValue(random_() % 900));
    } else if (kind < 62) {
      (void)TryPut(history_, KeyName(random_() % 600), NewValue(3000 + random_() % 40'000));
    } else if (kind < 85) {
      // A range, so that leaves become empty.
      const uint64_t from = random_() % 550;
      for (uint64_t n = from; n < from + 20; ++n) (void)TryErase(history_, KeyName(n));
    } else if (kind < 93) {
      (void)BufferCache::WriteAhead(32, 8);
    } else {
      WriteAndSync();
    }
    if (random_() % 2 == 0) TryAcknowledge(history_);
  }

 private:
  // Some of them need chunks, some begin with an empty database.
  std::vector<History::Change> MakeCommit(int i) {
    std::vector<History::Change> changes;
    if (i % 5 == 0) changes.push_back({"", std::nullopt});
    const uint64_t count = i % 3 == 0 ? 200 : 2 + random_() % 6;
    for (uint64_t n = 0; n < count; ++n) {
      const uint64_t kind = random_() % 100;
      const std::string key = KeyName(random_() % 600);
      if (kind < 20) {
        changes.push_back({key, std::nullopt});
      } else {
        changes.push_back({key, NewValue(kind < 95 ? random_() % 900 : 3000 + random_() % 40'000)});
      }
    }
    return changes;
  }

  std::string NewValue(uint64_t bytes) {
    std::string value = fmt::format("<{}>", ++values_);
    value.append(bytes, static_cast<char>('a' + values_ % 26));
    return value + fmt::format("<{}>", values_);
  }

  History& history_;
  std::mt19937_64 random_{7};
  uint64_t values_ = 0;
};

// Puts until the log's first segment is nearly full, then a checkpoint, so that redo is short.
void FillFirstSegment(History& history) {
  const std::string filler(60'000, 'f');
  while (SegmentOffset(Wal::InsertPosition()) < kSegmentBytes - 320 * 1024) {
    MustSucceed(TryPut(history, "filler", filler));
  }
  for (uint64_t n = 0; n < 300; ++n) {
    MustSucceed(TryPut(history, KeyName(n * 2), std::string(n % 200, 's')));
  }
  MustSucceed(TryCheckpoint());
}

// Thousands of failures that are wanted would say so: only without WARREN_TEST_LOG they don't.
void QuietLog() {
  static const bool once = [] {
    if (std::getenv("WARREN_TEST_LOG") != nullptr) return true;
    log::Options options;
    options.file = "/dev/null";
    MustSucceed(log::Configure(options));
    return true;
  }();
  (void)once;
}

Specimen MakeSpecimen() {
  Specimen specimen{ScratchDirectory() + "/specimen", {}};
  MustSucceed(DataDirectory::Init(specimen.directory, Config().database_count));
  Life life(specimen.directory);
  MustSucceed(life.Start());
  History history;
  FillFirstSegment(history);
  specimen.state = history.now();
  return specimen;
}

}  // namespace

Status Life::Start() {
  std::signal(SIGXFSZ, SIG_IGN);
  QuietLog();
  End();
  RETURN_IF_ERROR(Segment::Create(Config()));
  StoreWorld::BecomeProcess(0);
  RETURN_IF_ERROR(DataDirectory::Open(directory_, Config().database_count));
  return DataDirectory::Recover();
}

void Life::End() {
  if (!Segment::Exists()) return;
  Segment::Destroy();
  DataFile::Get().Close();
}

const std::string& ScratchDirectory() {
  // Copies of a log segment by the thousand: better not on a disk.
  struct Scratch {
    Scratch() {
      char in_memory[] = "/dev/shm/warren_test_XXXXXX";
      char otherwise[] = "/tmp/warren_test_XXXXXX";
      if (mkdtemp(in_memory) != nullptr) {
        path = in_memory;
      } else if (mkdtemp(otherwise) != nullptr) {
        path = otherwise;
      } else {
        std::abort();
      }
    }
    ~Scratch() {
      std::error_code ignored;
      if (getpid() == maker) std::filesystem::remove_all(path, ignored);
    }
    pid_t maker = getpid();
    std::string path;
  };
  static const Scratch scratch;
  return scratch.path;
}

const Specimen& GetSpecimen() {
  static const Specimen specimen = MakeSpecimen();
  return specimen;
}

void CopyDirectory(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

void RunScript(History& history, const std::function<bool()>& go_on) {
  Script script(history);
  for (int i = 0; i < 190 && go_on(); ++i) script.Step(i);
}

Status WorkAgain(History& history) {
  for (uint64_t n = 0; n < 10; ++n) {
    RETURN_IF_ERROR(TryPut(history, KeyName(n * 60), fmt::format("again {}", n)));
  }
  RETURN_IF_ERROR(TryPut(history, "large again", std::string(30'000, 'L')));
  RETURN_IF_ERROR(TryCommit(history, {{KeyName(1), "in one"},
                                      {"large together", std::string(30'000, 'T')},
                                      {"large again", std::nullopt}}));
  RETURN_IF_ERROR(Wal::FlushAll());
  history.Acknowledge();
  return TryCheckpoint();
}

Result<History::State> ReadAll() {
  History::State all;
  RETURN_IF_ERROR(
      Store::Scan(0, {}, kNow, NeedValue::kYes, [&](std::string_view key, const Current& current) {
        all.emplace(key, current.value);
        return true;
      }));
  return all;
}

std::string CheckAgainst(const History& history, size_t at_least) {
  if (HeldLockCount() != 0) return "a lock is held";
  const Status checked = Store::Check();
  if (!checked.ok()) return checked.error().message;
  const Result<History::State> found = ReadAll();
  if (!found.ok()) return found.error().message;
  if (history.Explain(*found, at_least).has_value()) return "";
  return fmt::format("{} keys found, which are no state of the history from change {} on{}",
                     found->size(), at_least,
                     history.Explain(*found, 0).has_value() ? ": an earlier one" : "");
}

}  // namespace warren::test

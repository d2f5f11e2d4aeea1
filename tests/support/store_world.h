// How does a test get a store on disk of its own?
#pragma once

#include <sys/stat.h>

#include <csignal>
#include <map>
#include <string>

#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/store.h"
#include "tests/support/segment_world.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {

// Ends the test program if `status` is an error: for steps that are not what a test is about.
inline void MustSucceed(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.error().message.c_str());
  std::abort();
}

// A data directory, open, while it lives. The creating process has slot 0.
class StoreWorld {
 public:
  explicit StoreWorld(uint32_t buffer_count = 256, uint32_t databases = 4) {
    std::signal(SIGXFSZ, SIG_IGN);
    config_ = SmallSegment(buffer_count);
    config_.database_count = databases;
    MustSucceed(DataDirectory::Init(path(), databases));
    Start();
  }
  ~StoreWorld() { Stop(); }
  StoreWorld(const StoreWorld&) = delete;
  StoreWorld& operator=(const StoreWorld&) = delete;

  const std::string& path() const { return directory_.path(); }

  // How long the data file is, whatever the store takes it to be.
  PageNo PagesOnDisk() const {
    struct stat status {};
    if (stat((path() + "/base/main").c_str(), &status) != 0) std::abort();
    return static_cast<PageNo>(status.st_size / kPageBytes);
  }

  void Start() {
    MustSucceed(Segment::Create(config_));
    BecomeProcess(0);
    MustSucceed(DataDirectory::Open(path(), config_.database_count));
    MustSucceed(DataDirectory::Recover());
  }
  void Stop() {
    if (!Segment::Exists()) return;
    Segment::Destroy();
    DataFile::Get().Close();
  }
  void Restart() {
    MustSucceed(DataDirectory::CloseCleanly());
    Stop();
    Start();
  }

  // The calling process (or thread) gets the slot; it must be free.
  static void BecomeProcess(SlotIndex slot) {
    (void)Segment::Procs().GiveOut(slot, ProcessKind::kBackend);
    Segment::BindProcess(slot);
    ProcArray::EnterRunning();
  }
  static void LeaveProcess(SlotIndex slot) {
    ProcArray::EnterExited();
    Segment::Procs()[slot].life.store(ProcLife::kFree);
  }

 private:
  TemporaryDirectory directory_;
  SegmentConfig config_;
};

// -- The calls that most tests make.

inline void Put(std::string_view key, std::string_view value, uint32_t database = 0,
                int64_t expire_at_ms = 0) {
  const auto done = Store::Modify(database, key, 1, NeedValue::kNo, [&](const Current&, uint64_t) {
    return Change{Change::kPut, value, expire_at_ms};
  });
  if (!done.ok()) MustSucceed(done.error());
}

// Was it there?
inline bool Erase(std::string_view key, uint32_t database = 0, int64_t now_ms = 1) {
  const auto done =
      Store::Modify(database, key, now_ms, NeedValue::kNo, [](const Current&, uint64_t) {
        return Change{Change::kErase, {}, 0};
      });
  if (!done.ok()) MustSucceed(done.error());
  return *done == Change::kErase;
}

inline std::optional<std::string> Get(std::string_view key, uint32_t database = 0,
                                      int64_t now_ms = 1) {
  std::optional<std::string> value;
  const auto found =
      Store::Read(database, key, now_ms, NeedValue::kYes, [&](const Current& current, uint64_t) {
        if (current.exists) value.emplace(current.value);
      });
  if (!found.ok()) MustSucceed(found.error());
  return value;
}

inline std::map<std::string, std::string> ReadDatabase(uint32_t database = 0) {
  std::map<std::string, std::string> all;
  MustSucceed(Store::Scan(database, {}, 1, NeedValue::kYes,
                          [&](std::string_view key, const Current& current) {
                            all.emplace(key, current.value);
                            return true;
                          }));
  return all;
}

}  // namespace warren::test

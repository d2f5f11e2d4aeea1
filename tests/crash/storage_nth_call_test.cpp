// Does the store keep its promises whichever call to the file system fails?
//
// A scripted workload is run once for each of its calls, and that call fails, in several ways. Then
// the process is gone, the store is started again, and what was acknowledged must be there, with
// nothing half applied. In the short form every so many calls.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <map>
#include <vector>

#include "base/fault_point.h"
#include "doctest/doctest.h"
#include "shmem/segment.h"
#include "storage/data_directory.h"
#include "tests/crash/storage_life.h"
#include "tests/support/actors.h"
#include "tests/support/fault_fs.h"

namespace warren::test {
namespace {

// How the chosen call fails.
struct Fault {
  const char* name;
  int error;
  bool half;      // of a write, half is done before
  bool for_good;  // and every later call that it concerns fails, too
  bool drops;     // a sync that fails throws away what was written since the last one
  bool new_only;  // what has its place on the disk can be written
};

constexpr Fault kFaults[] = {
    {"EIO", EIO, false, false, false, false},
    {"EIO, and a failed sync loses the data", EIO, true, false, true, false},
    {"no disk any more, from within a write", EIO, true, true, false, false},
    {"ENOSPC", ENOSPC, true, false, false, false},
    {"ENOSPC from then on", ENOSPC, false, true, false, false},
    {"the disk is full from then on", ENOSPC, false, true, false, true},
    {"a short write", 0, true, false, false, false},
};

bool NeedsSpace(FileCall call) {
  return call == FileCall::kWrite || call == FileCall::kAllocate || call == FileCall::kCreate;
}

// What was written to each file since its last sync, and what was there before.
class UnsyncedWrites {
 public:
  void Note(const FileEvent& event) {
    Former former{event.offset, std::vector<char>(event.bytes)};
    const int fd = open(event.path.c_str(), O_RDONLY);
    const ssize_t bytes =
        pread(fd, former.bytes.data(), former.bytes.size(), static_cast<off_t>(event.offset));
    former.bytes.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    close(fd);
    files_[event.path].push_back(std::move(former));
  }
  void Synced(const std::string& path) { files_.erase(path); }
  // As a kernel may do whose write to the disk has failed.
  void Drop(const std::string& path) {
    std::vector<Former>& all = files_[path];
    const int fd = open(path.c_str(), O_WRONLY);
    for (auto former = all.rbegin(); former != all.rend(); ++former) {
      const auto size = static_cast<ssize_t>(former->bytes.size());
      CHECK(pwrite(fd, former->bytes.data(), former->bytes.size(),
                   static_cast<off_t>(former->offset)) == size);
    }
    close(fd);
    files_.erase(path);
  }

 private:
  struct Former {
    uint64_t offset;
    std::vector<char> bytes;
  };
  std::map<std::string, std::vector<Former>> files_;
};

// Fails the n-th call, counted from 1; 0: none.
class NthCall {
 public:
  NthCall(const std::string& directory, const Fault& fault, uint64_t n)
      : fault_(fault),
        n_(n),
        watched_(
            directory, [this](const FileEvent& event) { return Judge(event); },
            [this](const FileEvent& event) {
              if (event.call == FileCall::kSync) unsynced_.Synced(event.path);
            }) {}

  uint64_t calls() const { return calls_; }
  const std::string& described() const { return described_; }

 private:
  // Of a log segment in existence, no byte ever needs space.
  bool Concerns(const FileEvent& event) const {
    if (fault_.new_only && event.call == FileCall::kWrite && IsDataWrite(event)) return false;
    if (fault_.error == ENOSPC) return NeedsSpace(event.call) && !IsLogWrite(event);
    return fault_.error != 0 || event.call == FileCall::kWrite;
  }
  static bool IsLogWrite(const FileEvent& event) {
    return event.call == FileCall::kWrite && event.path.find("/wal/0") != std::string::npos;
  }

  static bool IsDataWrite(const FileEvent& event) { return event.path.ends_with("/base/main"); }

  FileVerdict Judge(const FileEvent& event) {
    if (fault_.drops && event.call == FileCall::kWrite) unsynced_.Note(event);
    if (!Concerns(event)) return {};
    ++calls_;
    if (calls_ != n_ && !(hit_ && fault_.for_good)) return {};
    if (calls_ == n_) {
      described_ = fmt::format("{}: call {}: {} {} offset {}", fault_.name, n_,
                               FileCallName(event.call), event.path, event.offset);
    }
    hit_ = true;
    if (fault_.drops && event.call == FileCall::kSync) unsynced_.Drop(event.path);
    return {.error = fault_.error, .half = fault_.half};
  }

  const Fault& fault_;
  const uint64_t n_;
  uint64_t calls_ = 0;
  bool hit_ = false;
  std::string described_;
  UnsyncedWrites unsynced_;
  WatchedFiles watched_;
};

std::string RunDirectory() { return ScratchDirectory() + "/run"; }

// A commit that waits for room is where such a run ends. What is reserved keeps it from waiting
// when the disk is full and nothing else.
class NoWaiting {
 public:
  explicit NoWaiting(const Fault& fault) : fault_(fault) {
    SetFaultAction(
        FaultPoint::kCommitWait,
        [](FaultPoint, void* self) -> Status {
          static_cast<NoWaiting*>(self)->waited_ = true;
          return MakeError(ErrorCode::kGeneric, "it would wait");
        },
        this);
  }
  ~NoWaiting() {
    ClearFaultActions();
    if (fault_.new_only) CHECK_FALSE(waited_);
  }
  bool waited() const { return waited_; }

 private:
  const Fault& fault_;
  bool waited_ = false;
};

// The server starts over when the log or a sync of the data file has failed: until then nothing may
// be accepted, and afterwards this life is over.
bool MustEnd() {
  return Segment::Wal().failure.load() != 0 || Segment::Wal().data_failure.load() != 0;
}

// One run of the script with call `n` failing; how many calls there were.
uint64_t RunWithFault(const Fault& fault, uint64_t n) {
  CopyDirectory(GetSpecimen().directory, RunDirectory());
  History history;
  history.BeginWith(GetSpecimen().state);
  Life life(RunDirectory());
  REQUIRE(life.Start().ok());
  uint64_t calls = 0;
  std::string described;
  bool waited = false;
  {
    const NoWaiting waiting(fault);
    NthCall nth(RunDirectory(), fault, n);
    RunScript(history, [&] { return !MustEnd() && !waiting.waited(); });
    waited = waiting.waited();
    calls = nth.calls();
    described = nth.described();
  }
  INFO(described);
  if (!MustEnd() && !waited) CHECK(CheckAgainst(history, history.acknowledged()) == "");
  const Status restarted = life.Start();
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().message);
  CHECK(CheckAgainst(history, history.acknowledged()) == "");
  return calls;
}

// What a crash in the middle of the script leaves, and what redo makes of it.
struct Wreck {
  std::string directory = ScratchDirectory() + "/wreck";
  History::State state;
};

Wreck MakeWreck() {
  Wreck wreck;
  CopyDirectory(GetSpecimen().directory, wreck.directory);
  History history;
  history.BeginWith(GetSpecimen().state);
  Life life(wreck.directory);
  REQUIRE(life.Start().ok());
  RunScript(history);
  REQUIRE(life.Start().ok());
  const Result<History::State> found = ReadAll();
  REQUIRE(found.ok());
  wreck.state = *found;
  return wreck;
}

// A start with redo, new work, a checkpoint and a clean end, with call `n` failing.
uint64_t RecoverWithFault(const Wreck& wreck, const Fault& fault, uint64_t n) {
  CopyDirectory(wreck.directory, RunDirectory());
  History history;
  history.BeginWith(wreck.state);
  Life life(RunDirectory());
  uint64_t calls = 0;
  std::string described;
  {
    const NoWaiting waiting(fault);
    NthCall nth(RunDirectory(), fault, n);
    if (life.Start().ok() && WorkAgain(history).ok()) (void)DataDirectory::CloseCleanly();
    calls = nth.calls();
    described = nth.described();
  }
  INFO(described);
  const Status restarted = life.Start();
  REQUIRE_MESSAGE(restarted.ok(), restarted.error().message);
  CHECK(CheckAgainst(history, history.acknowledged()) == "");
  CHECK(WorkAgain(history).ok());
  CHECK(CheckAgainst(history, history.acknowledged()) == "");
  return calls;
}

// Every n in the full form, else about `sample` of them, spread over all.
void ForEachCall(uint64_t calls, uint64_t sample, const std::function<void(uint64_t)>& run) {
  const uint64_t stride = FullForm() ? 1 : std::max<uint64_t>(1, calls / sample);
  for (uint64_t n = 1; n <= calls; n += stride) run(n);
  std::printf("%llu calls, one in %llu failed\n", static_cast<unsigned long long>(calls),
              static_cast<unsigned long long>(stride));
}

}  // namespace

TEST_CASE("whichever file call fails, nothing acknowledged is lost and nothing half applied") {
  for (const Fault& fault : kFaults) {
    INFO(std::string(fault.name));
    const uint64_t calls = RunWithFault(fault, 0);
    CHECK(calls > 20);
    ForEachCall(calls, 12, [&](uint64_t n) { RunWithFault(fault, n); });
  }
}

TEST_CASE("whichever file call fails during redo, checkpoint or close, the next start is as good") {
  const Wreck wreck = MakeWreck();
  for (const Fault& fault : kFaults) {
    INFO(std::string(fault.name));
    const uint64_t calls = RecoverWithFault(wreck, fault, 0);
    CHECK(calls > 5);
    ForEachCall(calls, 12, [&](uint64_t n) { RecoverWithFault(wreck, fault, n); });
  }
}

}  // namespace warren::test

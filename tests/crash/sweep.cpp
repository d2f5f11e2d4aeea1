#include "tests/crash/sweep.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <vector>

#include "backend/command.h"
#include "base/log.h"
#include "postmaster/process_monitor.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "storage/data_directory.h"
#include "tests/crash/file_image.h"
#include "tests/crash/store_recorder.h"
#include "tests/crash/sweep_point.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr unsigned kPointSeconds = 20;  // what takes longer hangs
constexpr unsigned kOperationSeconds = 60;
constexpr size_t kContentBytes = 8 << 20;

std::string g_directory;

// In memory if there is room: thousands of processes look at it.
std::string MakeDirectory() {
  std::error_code error;
  const bool room = std::filesystem::space("/dev/shm", error).available > (256 << 20) && !error;
  std::string path = room ? "/dev/shm/warren_sweep_XXXXXX" : "/tmp/warren_sweep_XXXXXX";
  if (mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

// What the processes of a sweep have in common.
struct Shared {
  SweepReport report;
  PointOutcome outcome;
  size_t content_bytes;
  char content[kContentBytes];
};

void Fail(Shared& shared, std::string_view text) {
  if (shared.report.failure[0] != 0) return;
  const size_t bytes = std::min(text.size(), sizeof shared.report.failure - 1);
  std::memcpy(shared.report.failure, text.data(), bytes);
}

std::string DescribeStatus(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "hangs";
  if (WIFSIGNALED(status)) return fmt::format("died of signal {}", WTERMSIG(status));
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

// Runs `body` in a child, for at most `seconds`. Its wait status.
template <typename Body>
int RunInChild(unsigned seconds, Body body) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is ended early leaves nobody
    // The test framework's handlers would speak of a test that crashed.
    for (const int sign : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE}) signal(sign, SIG_DFL);
    alarm(seconds);
    body();
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

SegmentConfig SweepSegment(uint32_t buffers) {
  return {.max_connections = 4,
          .buffer_count = buffers,
          .command_count = static_cast<uint32_t>(CommandTable().size()),
          .database_count = 3,
          .lock_count = 256,
          .wal_ring_bytes = 512 << 10};
}

void MakeWorld(const Operation& operation) {
  const SegmentConfig config = SweepSegment(operation.buffers);
  MustSucceed(Segment::Create(config));
  StoreWorld::BecomeProcess(0);
  MustSucceed(DataDirectory::Init(g_directory, config.database_count));
  MustSucceed(DataDirectory::Open(g_directory, config.database_count));
  MustSucceed(DataDirectory::Recover());
  Segment::Server().postmaster_pid.store(getpid());  // ignores what it is told
  RegisterAllRepairs();
}

// -- Recording. The process of slot 1 stops when it is prepared, and goes on when its parent has
// seen the files as they are then.

StoreRecorder* g_recorder = nullptr;

pid_t StartVictim(const Operation& operation, StoreRecorder& recorder) {
  const pid_t victim = fork();
  if (victim != 0) return victim;
  alarm(kOperationSeconds);
  g_recorder = &recorder;
  if (operation.whole_process) {
    operation.prepare();
    operation.run();
    std::abort();
  }
  StoreWorld::BecomeProcess(kDeadSlot);
  Latch::InstallHandlers();
  operation.prepare();
  BeginRecording();
  operation.run();
  EndRecording();
}

bool WaitForStop(pid_t child) {
  int status = 0;
  return waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
}

// -- Replaying.

class Replay {
 public:
  Replay(const Operation& operation, const SweepOptions& options, Shared& shared)
      : options_(options), shared_(shared), recorder_(g_directory), random_(options.seed) {
    point_.directory = g_directory;
    point_.operation = &operation;
  }

  void Run() {
    if (!Record()) return;
    ReadContents();
    FindLocks();
    CountPoints();
    for (size_t i = 0; i <= events_.size() && !failed(); ++i) {
      event_ = i;
      if (i < events_.size()) LookAtCuts(events_[i]);
      if (i < events_.size()) continue;
      Look("after everything");
    }
    if (!failed() && point_.operation->effect == Effect::kWhole && seen_ != Seen::kAfter &&
        point_.before != point_.after && options_.points == 0) {
      Fail(shared_, "no point has the whole effect");
    }
  }

 private:
  bool failed() const { return shared_.report.failure[0] != 0; }

  bool Record() {
    const pid_t victim = StartVictim(*point_.operation, recorder_);
    if (!WaitForStop(victim)) {
      Fail(shared_, "the operation could not be prepared");
      return false;
    }
    const WatchedMemory segment = GetWatchedMemory();
    before_.assign(segment.begin, segment.end);
    files_.emplace(g_directory);
    kill(victim, SIGCONT);
    int status = 0;
    waitpid(victim, &status, 0);
    if (status != 0) {
      Fail(shared_, fmt::format("while it was recorded it {}", DescribeStatus(status)));
      return false;
    }
    after_.assign(segment.begin, segment.end);
    events_ = recorder_.Events();
    shared_.report.events = events_.size();
    return true;
  }

  // From here on the segment is this process's own: a child gets a copy.
  static void MakeSegmentPrivate() {
    const WatchedMemory segment = GetWatchedMemory();
    const auto bytes = static_cast<size_t>(segment.end - segment.begin);
    void* at = mmap(segment.begin, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED) std::abort();
  }

  void SetSegment(const std::vector<std::byte>& bytes) {
    std::memcpy(GetWatchedMemory().begin, bytes.data(), bytes.size());
  }

  Content ReadContentInChild() {
    shared_.outcome.touched.Clear();
    const int status = RunInChild(kPointSeconds, [&] {
      BeginReading(g_directory, &shared_.outcome.touched);
      size_t at = 0;
      const auto put = [&](const std::string& text) {
        if (at + sizeof(size_t) + text.size() > kContentBytes) std::abort();
        const size_t bytes = text.size();
        std::memcpy(shared_.content + at, &bytes, sizeof bytes);
        std::memcpy(shared_.content + at + sizeof bytes, text.data(), bytes);
        at += sizeof bytes + bytes;
      };
      for (const auto& [key, value] : ReadContent()) {
        put(key);
        put(value);
      }
      shared_.content_bytes = at;
    });
    if (status != 0) Fail(shared_, fmt::format("reading the content {}", DescribeStatus(status)));
    Content content;
    std::vector<std::string> texts;
    for (size_t at = 0; at < shared_.content_bytes;) {
      size_t bytes;
      std::memcpy(&bytes, shared_.content + at, sizeof bytes);
      texts.emplace_back(shared_.content + at + sizeof bytes, bytes);
      at += sizeof bytes + bytes;
    }
    for (size_t i = 0; i + 1 < texts.size(); i += 2) content.emplace(texts[i], texts[i + 1]);
    return content;
  }

  // Before and after the operation, when nobody died; then all is as before it.
  void ReadContents() {
    MakeSegmentPrivate();
    SetSegment(after_);
    point_.after = ReadContentInChild();
    for (const RecordedEvent& event : events_) {
      if (event.kind != RecordedEvent::kFile) continue;
      shared_.outcome.touched.Add(event.path, 0, 0);
      if (!event.to_path.empty()) shared_.outcome.touched.Add(event.to_path, 0, 0);
    }
    files_->Restore(shared_.outcome.touched);
    SetSegment(before_);
    point_.before = ReadContentInChild();
    files_->Restore(shared_.outcome.touched);
    const bool changes = point_.before != point_.after;
    if (changes == (point_.operation->effect == Effect::kNone)) {
      Fail(shared_, changes ? "it changes keys, and should not" : "it changes no key");
    }
  }

  // Every lock that the process was about to take, as its slot said.
  void FindLocks() {
    const std::byte* const base = GetWatchedMemory().begin;
    const auto pending = static_cast<size_t>(
        reinterpret_cast<const std::byte*>(&Segment::Procs()[kDeadSlot].locks.pending_lock) - base);
    for (const RecordedEvent& event : events_) {
      if (event.kind != RecordedEvent::kStore || event.offset != pending) continue;
      LWLock* lock;
      std::memcpy(&lock, event.data.data(), sizeof lock);
      if (lock != nullptr) point_.locks.insert(lock);
    }
  }

  static size_t CutsOf(const RecordedEvent& event) {
    if (event.kind == RecordedEvent::kStore) return event.data.size() > 8 ? 2 : 0;
    return event.kind == RecordedEvent::kFile && event.data.size() > 1 ? 1 : 0;
  }

  void CountPoints() {
    uint64_t points = 1;
    for (const RecordedEvent& event : events_) points += 1 + CutsOf(event);
    shared_.report.points = points;
  }

  // The point before the event, those within it, and then it is made.
  void LookAtCuts(const RecordedEvent& event) {
    Look("before");
    if (event.kind == RecordedEvent::kSignal) {
      point_.signalled.push_back(static_cast<int>(event.offset));
    } else if (event.kind == RecordedEvent::kFile) {
      if (CutsOf(event) != 0) {
        files_->Apply(event, (event.data.size() + 1) / 2);
        Look("after the first half of");
      }
      files_->Apply(event);
    } else {
      LookAtCutStore(event);
    }
  }

  void LookAtCutStore(const RecordedEvent& event) {
    std::byte* const at = GetWatchedMemory().begin + event.offset;
    if (CutsOf(event) != 0) {
      const size_t half = event.data.size() / 2;
      const std::vector<std::byte> former(at, at + event.data.size());
      std::memcpy(at, event.data.data(), half);
      Look("after the first half of");
      std::memcpy(at, former.data(), half);
      std::memcpy(at + half, event.data.data() + half, event.data.size() - half);
      Look("after the last half of");
    }
    std::memcpy(at, event.data.data(), event.data.size());
  }

  bool Chosen() {
    if (options_.points == 0 || options_.points >= shared_.report.points) return true;
    return random_() % shared_.report.points < options_.points;
  }

  void Look(const char* where) {
    if (failed() || !Chosen()) return;
    PointOutcome& outcome = shared_.outcome;
    outcome.touched.Clear();
    std::memset(reinterpret_cast<std::byte*>(&outcome) + sizeof outcome.touched, 0,
                sizeof outcome - sizeof outcome.touched);
    point_.restart = options_.restart_every != 0 && random_() % options_.restart_every == 0;
    const int status = RunInChild(kPointSeconds, [&] { LookAtPoint(point_, outcome); });
    files_->Restore(outcome.touched);
    if (outcome.failure[0] != 0) return FailAt(where, outcome.failure);
    if (status != 0) return FailAt(where, DescribeStatus(status));
    Tally(where);
  }

  void Tally(const char* where) {
    const PointOutcome& outcome = shared_.outcome;
    SweepReport& report = shared_.report;
    ++report.looked_at;
    report.with_locks += outcome.with_locks ? 1 : 0;
    report.taken_back += outcome.taken_back ? 1 : 0;
    report.finished += outcome.finished ? 1 : 0;
    report.commits_finished += outcome.commit_finished ? 1 : 0;
    report.restarts += outcome.restarted ? 1 : 0;
    if (point_.operation->effect != Effect::kWhole || point_.before == point_.after) return;
    if (seen_ == Seen::kAfter && outcome.seen == Seen::kBefore) {
      FailAt(where, "its effect was there at an earlier point, and is not here");
    }
    if (event_ == events_.size() && outcome.seen != Seen::kAfter) {
      FailAt(where, "its effect is not there at the end");
    }
    seen_ = outcome.seen;
  }

  void FailAt(const char* where, std::string_view what) {
    Fail(shared_, fmt::format("{} event {} of {}, {}: {}", where, event_, events_.size(),
                              event_ < events_.size() ? Describe(events_[event_]) : "-", what));
  }

  static std::string Describe(const RecordedEvent& event) {
    if (event.kind == RecordedEvent::kSignal) return fmt::format("signal to {}", event.offset);
    if (event.kind == RecordedEvent::kFile) {
      return fmt::format("call {} of {} at {}, {} bytes", static_cast<int>(event.call), event.path,
                         event.offset, event.data.size());
    }
    for (const SharedStructureInfo& structure : Segment::Structures()) {
      if (event.offset >= structure.offset && event.offset < structure.offset + structure.bytes) {
        return fmt::format("{} bytes to {} + {:#x}", event.data.size(), structure.name,
                           event.offset - structure.offset);
      }
    }
    return "a store outside of all structures";
  }

  SweepOptions options_;
  Shared& shared_;
  StoreRecorder recorder_;
  std::mt19937_64 random_;
  PointCase point_;
  std::vector<std::byte> before_, after_;
  std::optional<FileImage> files_;
  std::vector<RecordedEvent> events_;
  size_t event_ = 0;
  Seen seen_ = Seen::kBefore;
};

}  // namespace

void BeginRecording() {
  raise(SIGSTOP);
  g_recorder->Begin();
}

void EndRecording() {
  g_recorder->End();
  _exit(0);
}

const std::string& SweepDirectory() { return g_directory; }

SweepOptions UsualOptions() {
  SweepOptions options;
  options.points = FullForm() ? 0 : 120;
  options.seed = TestSeed();
  return options;
}

SweepReport Sweep(const Operation& operation, const SweepOptions& options) {
  SharedRegion region(sizeof(Shared) + 4096);
  Shared& shared = *region.Allocate<Shared>();
  g_directory = MakeDirectory();
  // A process of its own, for it has a segment and everything that is bound to it.
  const int status = RunInChild(3600, [&] {
    if (options.bug != nullptr) setenv("WARREN_SEEDED_BUG", options.bug, 1);
    log::Options quiet;
    quiet.level = log::Level::kError;
    MustSucceed(log::Configure(quiet));
    MakeWorld(operation);
    operation.set_up();
    Replay(operation, options, shared).Run();
  });
  std::error_code ignored;
  std::filesystem::remove_all(g_directory, ignored);
  if (status != 0) Fail(shared, fmt::format("the sweep {}", DescribeStatus(status)));
  return shared.report;
}

}  // namespace warren::test

// Does the store keep its promises when the power fails at any moment?
//
// The calls of one scripted life are recorded. For every prefix of them the disk is put together as
// it may be then: with all that was written, with nothing that was not synced, and with seeded
// samples of un-synced sectors; the store is started on it and compared with what was acknowledged
// by then. In the short form for every so many prefixes.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "doctest/doctest.h"
#include "storage/data_directory.h"
#include "tests/crash/recorded_disk.h"
#include "tests/crash/storage_life.h"
#include "tests/support/actors.h"

namespace warren::test {
namespace {

struct Recording {
  std::vector<DiskChange> changes;
  std::vector<size_t> acknowledged;  // when the change of this index had just been made
  History history;

  // What the clients knew when the disk had made this change and no other.
  size_t AcknowledgedBefore(size_t next_change) const {
    return next_change < changes.size() ? acknowledged[next_change] : history.acknowledged();
  }
};

std::string RecordedDirectory() { return ScratchDirectory() + "/recorded"; }
std::string SampleDirectory() { return ScratchDirectory() + "/sample"; }

// What `work` does to RecordedDirectory().
void Record(Recording& recording, const std::function<void(History&)>& work) {
  const WatchedFiles watched(
      RecordedDirectory(), [](const FileEvent&) { return FileVerdict{}; },
      [&](const FileEvent& event) {
        if (event.call == FileCall::kOpen || event.call == FileCall::kRead) return;
        recording.changes.push_back(ToChange(event));
        recording.acknowledged.push_back(recording.history.acknowledged());
      });
  work(recording.history);
}

// Starts the store on the sample and looks at it.
void CheckSample(const History& history, size_t acknowledged) {
  Life life(SampleDirectory());
  const Status started = life.Start();
  REQUIRE_MESSAGE(started.ok(), started.error().message);
  CHECK(CheckAgainst(history, acknowledged) == "");
}

// At each `stride`-th place of the recording. Returns how many power failures there were.
int SweepPowerLoss(const Recording& recording, RecordedDisk& disk, size_t stride, int samples) {
  std::mt19937_64 random(11);
  int checked = 0;
  for (size_t done = 0; done < recording.changes.size(); ++done) {
    disk.Make(recording.changes[done]);
    if (done % stride != 0) continue;
    CAPTURE(done);
    const size_t acknowledged = recording.AcknowledgedBefore(done + 1);
    disk.WriteSyncedOnly(SampleDirectory());
    CheckSample(recording.history, acknowledged);
    disk.WriteAll(SampleDirectory());
    CheckSample(recording.history, acknowledged);
    for (int i = 0; i < samples; ++i) {
      const uint64_t sector_bytes = i % 2 == 0 ? 512 : 4096;
      CAPTURE(sector_bytes);
      disk.WriteAfterPowerLoss(SampleDirectory(), sector_bytes, random);
      CheckSample(recording.history, acknowledged);
    }
    checked += 2 + samples;
  }
  return checked;
}

void Report(const Recording& recording, int checked) {
  std::printf("%zu changes of the disk, %d power failures\n", recording.changes.size(), checked);
}

// Counts of changes after which bytes of the log are written, but not synced.
std::vector<size_t> LogWritesNotSynced(const Recording& recording) {
  std::vector<size_t> counts;
  for (size_t i = 0; i < recording.changes.size(); ++i) {
    const DiskChange& change = recording.changes[i];
    const bool of_log = change.path.find("/wal/0") != std::string::npos;
    if (of_log && change.call == FileCall::kWrite) counts.push_back(i + 1);
  }
  return counts;
}

// The first life, which ends when its disk has made `changes` of its changes, is followed by one
// that recovers and works; both are on `disk`. What happens in the second one.
Recording LiveAgainAfter(const Recording& first, size_t changes, RecordedDisk& disk) {
  for (size_t i = 0; i < changes; ++i) disk.Make(first.changes[i]);
  disk.WriteAll(RecordedDirectory());
  Recording second;
  const size_t acknowledged = first.AcknowledgedBefore(changes);
  second.history = first.history;
  second.history.CutTo(second.history.size(), acknowledged);
  Record(second, [&](History& history) {
    Life life(RecordedDirectory());
    REQUIRE(life.Start().ok());
    const Result<History::State> found = ReadAll();
    REQUIRE(found.ok());
    const std::optional<size_t> done = history.Explain(*found, acknowledged);
    REQUIRE(done.has_value());
    history.CutTo(*done, acknowledged);
    REQUIRE(WorkAgain(history).ok());
  });
  return second;
}

}  // namespace

TEST_CASE("whenever the power fails, what was acknowledged is there and nothing is half applied") {
  CopyDirectory(GetSpecimen().directory, RecordedDirectory());
  RecordedDisk disk(RecordedDirectory());
  Recording recording;
  recording.history.BeginWith(GetSpecimen().state);
  Record(recording, [](History& history) {
    Life life(RecordedDirectory());
    REQUIRE(life.Start().ok());
    RunScript(history);
  });
  REQUIRE(recording.changes.size() > 250);
  Report(recording, SweepPowerLoss(recording, disk, FullForm() ? 1 : recording.changes.size() / 20,
                                   FullForm() ? 4 : 2));
}

TEST_CASE("the power may fail again during redo, the first checkpoint after it and a clean end") {
  CopyDirectory(GetSpecimen().directory, RecordedDirectory());
  Recording recording;
  recording.history.BeginWith(GetSpecimen().state);
  {
    Life life(RecordedDirectory());
    REQUIRE(life.Start().ok());
    RunScript(recording.history);
    REQUIRE(life.Start().ok());
    const Result<History::State> found = ReadAll();
    REQUIRE(found.ok());
    // Acknowledged or not: what redo has brought back once may not be lost any more.
    recording.history.BeginWith(*found);
  }
  RecordedDisk disk(RecordedDirectory());
  Record(recording, [](History& recorded) {
    Life life(RecordedDirectory());
    REQUIRE(life.Start().ok());
    REQUIRE(WorkAgain(recorded).ok());
    REQUIRE(DataDirectory::CloseCleanly().ok());
  });
  Report(recording, SweepPowerLoss(recording, disk, FullForm() ? 1 : recording.changes.size() / 10,
                                   FullForm() ? 4 : 2));
}

TEST_CASE("a process that dies may leave un-synced bytes, which its successor does not rely on") {
  CopyDirectory(GetSpecimen().directory, RecordedDirectory());
  Recording first;
  first.history.BeginWith(GetSpecimen().state);
  Record(first, [](History& history) {
    Life life(RecordedDirectory());
    REQUIRE(life.Start().ok());
    RunScript(history);
  });
  int checked = 0;
  const std::vector<size_t> deaths = LogWritesNotSynced(first);
  REQUIRE(deaths.size() > 20);
  for (size_t i = 0; i < deaths.size(); i += FullForm() ? 1 : deaths.size() / 8) {
    const size_t changes = deaths[i];
    CAPTURE(changes);
    CopyDirectory(GetSpecimen().directory, RecordedDirectory());
    RecordedDisk disk(RecordedDirectory());
    const Recording second = LiveAgainAfter(first, changes, disk);
    checked += SweepPowerLoss(second, disk, FullForm() ? 4 : 1 + second.changes.size() / 5, 1);
  }
  Report(first, checked);
}

}  // namespace warren::test

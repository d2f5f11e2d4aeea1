// 5. What does reading state cost that somebody changes now and then?
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/clock.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/processes.h"
#include "bench/ipc/shared_record.h"
#include "bench/ipc/stream_io.h"

namespace warren::ipc {
namespace {

constexpr std::array<int, 5> kReaders = {1, 2, 4, 8, 16};
constexpr uint64_t kReadsPerWrite = 1000;
constexpr uint64_t kReadsPerClock = 64;

void CheckWhole(const RecordCopy& copy) {
  if (!IsWhole(copy)) Fail("a torn record was read: version {}", copy[0]);
}

// Reads until the time is over; calls `write` before each thousandth. Returns how many.
template <typename Read, typename Write>
uint64_t ReadFor(int64_t duration_ns, Read read, Write write) {
  RecordCopy copy;
  uint64_t reads = 0;
  const int64_t end_ns = MonotonicNs() + duration_ns;
  for (; reads % kReadsPerClock != 0 || MonotonicNs() < end_ns; ++reads) {
    if (reads % kReadsPerWrite == 0) write(reads);
    read(&copy);
    CheckWhole(copy);
  }
  return reads;
}

// Of all members together, by the reads that they counted.
Sample Summarise(const std::vector<Usage>& usage, std::span<const uint64_t> reads) {
  uint64_t all = 0;
  int64_t begin_ns = usage.back().begin_ns;
  int64_t end_ns = 0;
  double cpu_ns = 0;
  double sleeps = 0;
  for (const uint64_t of_one : reads) all += of_one;
  for (const Usage& one : usage) {
    begin_ns = std::min(begin_ns, one.begin_ns);
    end_ns = std::max(end_ns, one.end_ns);
    cpu_ns += static_cast<double>(one.cpu_ns);
    sleeps += static_cast<double>(one.sleeps);
  }
  const auto count = static_cast<double>(std::max<uint64_t>(all, 1));
  return {{count * 1e9 / static_cast<double>(end_ns - begin_ns), cpu_ns / count, sleeps / count},
          {},
          {}};
}

// `readers` processes, of which the first also writes.
template <typename Record>
Result<Sample> MeasureShared(int readers, int64_t duration_ns) {
  Record record;
  SharedMemory memory(4096);
  auto* reads = memory.Allocate<uint64_t>(static_cast<size_t>(readers));
  const auto body = [&](Member& self) {
    const bool writer = self.index() == 0;
    record.Join(self.index());
    self.StartTogether();
    self.Begin();
    reads[self.index()] = ReadFor(
        duration_ns, [&](RecordCopy* copy) { record.Read(copy); },
        [&](uint64_t version) {
          if (writer) record.Write(version);
        });
    self.End();
  };
  ASSIGN_OR_RETURN(const std::vector<Usage> usage, RunTeam(readers, body));
  return Summarise(usage, {reads, static_cast<size_t>(readers)});
}

// -- Asking the process that has the record

constexpr char kAsk = '?';
constexpr char kBye = '.';

// Answers until all have said good-bye; changes its record with every thousandth answer.
void ServeRecord(const std::vector<Ends>& lines) {
  std::vector<pollfd> waiting;
  for (const Ends& line : lines) waiting.push_back({line[0].get(), POLLIN, 0});
  RecordCopy record;
  for (size_t i = 0; i < kRecordWords; ++i) record[i] = i;
  uint64_t answers = 0;
  for (size_t open = lines.size(); open > 0;) {
    // With one reader the read below waits by itself.
    if (lines.size() > 1 && poll(waiting.data(), waiting.size(), -1) < 0) TryAgain("poll");
    for (pollfd& one : waiting) {
      if (one.fd < 0 || (lines.size() > 1 && one.revents == 0)) continue;
      char question = 0;
      while (recv(one.fd, &question, 1, 0) < 0) TryAgain("recv");
      if (question != kAsk) {
        one.fd = -1;
        --open;
        continue;
      }
      if (++answers % kReadsPerWrite == 0) {
        for (uint64_t& word : record) ++word;
      }
      while (send(one.fd, record.data(), sizeof record, 0) < 0) TryAgain("send");
    }
  }
}

void AskForRecord(int fd, RecordCopy* copy) {
  while (send(fd, &kAsk, 1, 0) < 0) TryAgain("send");
  ssize_t got = -1;
  while ((got = recv(fd, copy->data(), sizeof *copy, 0)) < 0) TryAgain("recv");
  if (got != sizeof *copy) Fail("an answer of {} bytes", got);
}

// `readers` processes and one more, which has the record.
Result<Sample> MeasureMessages(int readers, int64_t duration_ns) {
  std::vector<Ends> lines;
  for (int i = 0; i < readers; ++i) {
    Result<Ends> line = OpenUnixPair(SOCK_SEQPACKET);
    if (!line.ok()) return Sample{{}, {}, line.error().message};
    lines.push_back(std::move(line).value());
  }
  SharedMemory memory(4096);
  auto* reads = memory.Allocate<uint64_t>(static_cast<size_t>(readers));
  const auto body = [&](Member& self) {
    const int reader = self.index() - 1;
    self.StartTogether();
    self.Begin();
    if (reader < 0) {
      ServeRecord(lines);
    } else {
      const int fd = lines[static_cast<size_t>(reader)][1].get();
      reads[reader] = ReadFor(
          duration_ns, [fd](RecordCopy* copy) { AskForRecord(fd, copy); }, [](uint64_t) {});
      while (send(fd, &kBye, 1, 0) < 0) TryAgain("send");
    }
    self.End();
  };
  ASSIGN_OR_RETURN(const std::vector<Usage> usage, RunTeam(readers + 1, body));
  return Summarise(usage, {reads, static_cast<size_t>(readers)});
}

struct Candidate {
  const char* mechanism;
  Result<Sample> (*measure)(int readers, int64_t duration_ns);
  int others;  // processes beside the readers
};
const std::array<Candidate, 4> kCandidates = {{
    {"seqlock", MeasureShared<SeqlockRecord>, 0},
    {"lwlock, shared", MeasureShared<LockedRecord<WarrenLWLock>>, 0},
    {"rwlock", MeasureShared<LockedRecord<PthreadRwlock>>, 0},
    {"asking by unix socket", MeasureMessages, 1},
}};

}  // namespace

Plan PlanReaders(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "readers",
      .title = "reading a 128-byte record; one process changes it after every 1,000 of its reads",
      .notes = {"each read copies the record and checks that it is whole.",
                "asking: one process more has the record and answers with a copy."},
      .variant_name = "readers",
      .columns = {{"reads/s", "1/s", 0, Better::kMore},
                  {"CPU ns/read", "ns", 0, Better::kLess},
                  {"sleeps/read", "", 2, Better::kLess}},
      .plot = {.kind = PlotKind::kLines,
               .column = 0,
               .log_x = true,
               .log_y = true,
               .x_label = "readers"},
      .rows = {}};
  const int64_t duration_ns = effort.quick ? 50'000'000 : 300'000'000;
  for (const int readers : kReaders) {
    for (const Candidate& candidate : kCandidates) {
      Row row;
      row.mechanism = candidate.mechanism;
      row.variant = fmt::format("{}", readers);
      row.at = readers;
      row.processes = readers + candidate.others;
      plan.trials.push_back({row, [candidate, readers, duration_ns] {
                               return candidate.measure(readers, duration_ns);
                             }});
    }
  }
  return plan;
}

}  // namespace warren::ipc

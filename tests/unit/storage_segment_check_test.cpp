// Does the check of shared memory see what is broken, and nothing where all is well?
#include "storage/segment_check.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "shmem/buffer_pool.h"
#include "shmem/fault_table.h"
#include "shmem/incident.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr SlotIndex kFreeSlot = 7;

std::string FirstFault() {
  FaultList faults;
  CheckSegment(&faults);
  return faults.empty() ? "" : faults.lines()[0];
}

// Breaks one word for as long as it looks.
template <typename T>
std::string FaultWith(std::atomic<T>& word, T broken) {
  const T before = word.exchange(broken);
  std::string fault = FirstFault();
  word.store(before);
  return fault;
}

}  // namespace

TEST_CASE("each structure's invariants are asserted while the server runs") {
  StoreWorld world;
  REQUIRE(FirstFault() == "");
  const auto finds = [](const std::string& fault, std::string_view what) {
    CAPTURE(fault);
    CHECK(fault.find(what) != std::string::npos);
  };
  const uint32_t gone = kFreeSlot + 1;  // as an owner
  finds(FaultWith(Segment::Server().phase, 9u), "server state");
  finds(FaultWith(Segment::Server().token_limit, ~uint64_t{0}), "tokens");
  finds(FaultWith(Segment::Locks().reader_words, 0u), "lock space");
  finds(FaultWith(Segment::Procs()[kFreeSlot].locks.held[0],
                  MakeHeldLock(&Segment::WalInsertLock(), LockMode::kShared)),
        "process slot 7");
  finds(FaultWith(Segment::Procs()[kFreeSlot].commit_lsn, Lsn{5}), "process slot 7");
  finds(FaultWith(Segment::SettingsLock().word, gone), "settings");
  finds(FaultWith(Segment::SettingsLock().readers()[0], uint64_t{1} << kFreeSlot), "settings");
  finds(FaultWith(Segment::WalSegmentLock().word, gone), "wal_segment");
  finds(FaultWith(Segment::WalFlushLock().word, gone), "wal_flush");
  finds(FaultWith(Segment::DataFileLock().word, gone), "data_file");
  finds(FaultWith(g_buffer_pool.content_locks[3].word, gone), "buffer_content 3");
  finds(FaultWith(Segment::Wal().write, Lsn{0}), "log: flushed");
  finds(FaultWith(Segment::Wal().reserved_bytes, uint64_t{8}), "log: 0 bytes are reserved");
  finds(FaultWith(Segment::Checkpoints().requests.done, uint64_t{99}), "requests for a checkpoint");
  finds(FaultWith(Segment::Vacuum().requests.failed, uint64_t{99}), "requests for a vacuum");
  finds(FaultWith(Segment::Faults()[0].kind, static_cast<FaultKind>(77)), "fault points");
  finds(FaultWith(Segment::IncidentRows().rows[3].id, uint64_t{4}), "incident 4 stands in row 3");
  finds(FaultWith(Segment::Database(0).commits_ended, uint64_t{9}), "database 0");
  finds(FaultWith(Segment::Reserves()[kFreeSlot].pages, PageNo{1}), "reserve of slot 7");
  finds(FaultWith(MiniTransactionAreaOf(kFreeSlot).armed, 1u), "mini-transaction of slot 7");
  CHECK(FirstFault() == "");
}

}  // namespace warren::test

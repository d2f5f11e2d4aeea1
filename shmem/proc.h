// Who is there? The process array: one slot per process, the primary truth about all of them.
//
// A slot's life, each arrow one store to `life`:
//
//   kFree -> kStarting -> kRunning -> kExited -> kFree    exit 0, nothing held
//               |             |
//               +-------------+-----> kDead -> kFree      abnormal: freed when all it left is
//               cleared
//                                                         away
//
// kStarting is stored by the postmaster before the fork, kRunning and kExited by the process
// itself, kFree after kExited and kDead by the postmaster, kFree after kDead by the process
// monitor, as the last store of its repair.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "lwlock/lock_proc.h"

namespace warren {

enum class ProcessKind : uint8_t {
#define WARREN_PROCESS_KIND(id, name, autostart, help) id,
#include "shmem/process_kind_list.def"
#undef WARREN_PROCESS_KIND
};

struct ProcessKindInfo {
  std::string_view name;
  bool autostart;
  std::string_view help;
};
std::span<const ProcessKindInfo> ProcessKinds();  // indexed by ProcessKind
const ProcessKindInfo& GetProcessKind(ProcessKind kind);

enum class ProcLife : uint8_t { kFree, kStarting, kRunning, kExited, kDead };

// A short text in shared memory with one writer. Readers may meet a half-written one and show a
// mixture; it is always terminated.
template <size_t N>
struct SharedText {
  char bytes[N];  // bytes[N-1] is always 0

  void Set(std::string_view text) {
    const size_t n = text.size() < N - 1 ? text.size() : N - 1;
    for (size_t i = 0; i < n; ++i) bytes[i] = text[i];
    bytes[n] = 0;
  }
  std::string_view Get() const {
    size_t n = 0;
    while (n < N - 1 && bytes[n] != 0) ++n;
    return {bytes, n};
  }
};

// What CLIENT LIST and `warren status` show of a backend's session. Written by the backend alone.
struct ClientInfo {
  std::atomic<uint64_t> client_id;  // 0: no client yet
  SharedText<108> address;          // "127.0.0.1:50123", "/path/to/socket:0"
  SharedText<108> local_address;
  SharedText<64> name;          // CLIENT SETNAME
  SharedText<32> library_name;  // CLIENT SETINFO
  SharedText<32> library_version;
  SharedText<32> last_command;          // lower case, "config|get" for sub-commands
  std::atomic<int64_t> connected_us;    // WallClockUs
  std::atomic<int64_t> last_active_us;  // WallClockUs of the last command's start
  std::atomic<uint32_t> database;
  std::atomic<uint32_t> query_bytes;   // unparsed input
  std::atomic<uint64_t> output_bytes;  // unsent replies
  std::atomic<uint64_t> output_limit_hits;
  std::atomic<int32_t> socket_fd;
  std::atomic<int32_t> queued_commands;  // since MULTI; -1: no MULTI
  std::atomic<uint32_t> watched_keys;
  std::atomic<uint8_t> resp_version;  // 2 or 3
  std::atomic<uint8_t> in_command;    // 1 while a command is executed
  std::atomic<uint8_t> working;       // 0 while asleep waiting for the client
  std::atomic<uint8_t> no_evict;
  std::atomic<uint8_t> unix_socket;
};

// One process slot. Aligned so that no two processes write to one cache line.
struct alignas(kCacheLineBytes) Proc {
  // -- Written by the postmaster.
  std::atomic<ProcLife> life;  // see the diagram above
  std::atomic<ProcessKind> kind;
  std::atomic<int32_t> pid;          // 0 while free; stored by the parent after the fork and by the
                                     // child itself at its start (the same value)
  std::atomic<uint32_t> generation;  // raised each time the slot is given out
  std::atomic<int32_t> wait_status;  // of waitpid, valid when kDead
  std::atomic<int64_t> start_us;     // WallClockUs
  std::atomic<int64_t> reaped_ns;    // MonotonicNs of the waitpid, valid when kDead

  // -- Written by the process.
  LockProc locks;
  // The oldest log position from which this process may still follow page links (storage): a
  // deleted page is reusable only when every op_start is 0 or past its deletion. 0: in no
  // operation.
  alignas(kCacheLineBytes) std::atomic<Lsn> op_start;
  // The first log record of the commit under way (storage/commit.h), from before it is published
  // until all its changes are made; 0: none. Whoever reads what this process has locked waits
  // meanwhile.
  std::atomic<Lsn> commit_lsn;
  // Where the commit record ends, once it is in the log: from then on the commit has to be
  // finished.
  std::atomic<Lsn> commit_end;
  // Which databases it changes, a bit each; from before the commit record is published.
  std::array<std::atomic<uint64_t>, kMaxDatabases / 64> commit_databases;
  // A backup under way in this process needs the log from here on (storage/wal_retention.h); counts
  // while the process runs, so that its end, however it comes, lets the log go. 0: nothing is
  // needed.
  std::atomic<Lsn> wal_hold;
  std::atomic<uint32_t> settings_generation;  // the newest one in force here
  // The generation that said, just before it aborted, that nothing it changed is damaged; a stale
  // one means nothing.
  std::atomic<uint32_t> declared_clean;
  ClientInfo client;

  // -- Written by others, by one store each.
  // CLIENT KILL, idle expiry and the like: the generation that shall end. The process looks after
  // each latch wake-up; a stale generation means nothing.
  alignas(kCacheLineBytes) std::atomic<uint32_t> end_requested;
  // MonotonicNs at which somebody is about to kill the process on purpose, for the incident's
  // record; 0: nobody has.
  std::atomic<int64_t> killed_ns;

  // -- Written by the process monitor, about a dead process.
  // The generation whose death the counts below stand before; another: it is not counted yet.
  std::atomic<uint32_t> counted_generation;
  std::atomic<uint64_t> repairs_before;  // of this slot, as the statistics were
  std::atomic<uint64_t> repairs_in_place_before;
};

// The per-process handle on the array.
class ProcArray {
 public:
  ProcArray() = default;
  explicit ProcArray(std::span<Proc> slots) : slots_(slots) {}
  size_t size() const { return slots_.size(); }
  Proc& operator[](SlotIndex slot) const { return slots_[slot]; }
  std::span<Proc> slots() const { return slots_; }

  // Postmaster only. The first free slot from `begin` on, or kNoSlot.
  SlotIndex FindFree(SlotIndex begin = 0) const;

  // Postmaster only, before a fork: makes the free slot kStarting under a new generation, with what
  // a former process said about itself cleared. Counters go on (lock_proc.h).
  Owner GiveOut(SlotIndex slot, ProcessKind kind) const;

  // By the process of the bound slot: its pid and kRunning; kExited as its last store.
  static void EnterRunning();
  static void EnterExited();

  // By a process whose changes are whole or can be made so from its slot: aborts, and its SIGABRT
  // is repaired in place like a kill from outside.
  [[noreturn]] static void AbortDeclaredClean();

  // For everyone but the postmaster: this process's own slot.
  static void BindSelf(Proc* self, SlotIndex slot);
  static Proc& Self();
  static Proc* SelfOrNull();
  static Owner SelfOwner();

  // The smallest wal_hold of all running processes, or `otherwise` if there is none below it.
  Lsn OldestWalHold(Lsn otherwise) const;

  // The smallest non-zero commit_lsn of all slots, or 0. Exact under the WAL insert lock.
  Lsn OldestCommit() const;

  // The smallest non-zero op_start of all slots in use, or `otherwise` if there is none.
  Lsn OldestOpStart(Lsn otherwise) const;

 private:
  std::span<Proc> slots_;
};

}  // namespace warren

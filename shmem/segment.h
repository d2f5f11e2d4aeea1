// What is in shared memory, and where?
//
// One MAP_SHARED mapping of a memfd, made by the postmaster before the first fork, allocated in
// full (a store can never fail later for want of memory), left out of core dumps. Its structures
// are the rows of one table (segment.cpp: SharedStructures): name, size as a function of the
// configuration, initialiser. The table lays them out, initialises them and feeds MEMORY SEGMENT.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "lwlock/lwlock.h"
#include "shmem/checkpoint_requests.h"
#include "shmem/crowd_trial.h"
#include "shmem/proc.h"
#include "shmem/vacuum_state.h"
#include "shmem/wal_state.h"

namespace warren {

struct SegmentConfig {
  uint32_t max_connections = 1000;  // backends, reserved ones included
  uint32_t buffer_count = 16384;    // pages of cache
  uint32_t command_count = 0;       // rows of the command table (Stats)
  uint32_t database_count = 16;
  uint32_t lock_count = 4096;          // entries of the lock table
  uint32_t wal_ring_bytes = 4u << 20;  // the log's bytes that are not durable yet; a multiple of 8
  bool huge_pages = false;             // wanted; falls back with a log line when not available

  // Process slots: connections, one per auxiliary kind and some for replacements of dead ones whose
  // slots are not free yet.
  uint32_t slot_count() const;
};

struct SharedStructureInfo {
  std::string_view name;
  size_t offset;
  size_t bytes;
  std::string_view help;
};

// Counts of one database, kept in the segment while the server runs and in the data file's catalog
// when it stops. The high bits say for which incarnation of the database
// (storage/database_counts.h): read them through Store::KeyCount and Store::ExpiresCount.
struct DatabaseCounts {
  std::atomic<uint64_t> keys;
  std::atomic<uint64_t> expires;  // keys with an expiry time
  // No key of the database expires before this (WallClockMs); 0: not known. Derived: lowered by any
  // writer before its record and under its leaf's lock, raised by vacuum alone (storage/expiry.h).
  std::atomic<int64_t> next_expiry_ms;
  // Commits of several changes that have begun and ended to be made in the database
  // (storage/commit.h). Written under the WAL insert lock.
  std::atomic<uint64_t> commits_begun;
  std::atomic<uint64_t> commits_ended;
  // Raised under the root's and the catalog's lock, before and after the database is emptied
  // (KeyStamp, storage/store.h).
  std::atomic<uint64_t> flushes;
  // Of the tree that is there now, or will be: raised under the WAL insert lock with the record
  // that takes the former one away.
  std::atomic<uint32_t> incarnation;
};

// What the slot's commit may still use when the disk is full (storage/commit_reserve.h).
struct SlotReserve {
  // Behind the data file's end. Raised under the data file lock, shared; taken from by whoever
  // makes the commit's changes.
  std::atomic<PageNo> pages;
  std::atomic<uint64_t> log_bytes;  // written under the WAL insert lock
};

// A key's removals are counted together with those of others whose hash has the same remainder.
inline constexpr uint32_t kRemovalCounters = 4096;

// Server-wide facts with one writer each.
struct ServerState {
  std::atomic<uint32_t> phase;  // ServerPhase, by the postmaster
  std::atomic<int32_t> postmaster_pid;
  std::atomic<int64_t> start_us;
  std::atomic<uint64_t> next_client_id;    // fetch_add by each backend
  std::atomic<uint32_t> connection_count;  // by the postmaster: backends alive now
  std::atomic<uint64_t> start_count;       // of this data directory
  // PackedOwner of the dead process whose remains are being cleared away, by the process monitor; 0
  // by the postmaster when it has read why the monitor died.
  std::atomic<uint64_t> under_repair;

  // Fencing tokens (storage/fencing.h). The newest one, by fetch_add; those below `token_limit` may
  // be given out, which only grows; below `logged_token_limit`, as soon as the log is flushed:
  // written under the WAL insert lock.
  std::atomic<uint64_t> last_token;
  std::atomic<uint64_t> token_limit;
  std::atomic<uint64_t> logged_token_limit;

  // Backends that are not asleep waiting for their client, for choosing how to wait (backend/
  // wait_policy.h). Raised and lowered by each backend; derived from ClientInfo::working and
  // counted again now and then, because a backend that dies leaves it too high.
  alignas(kCacheLineBytes) std::atomic<int32_t> working_backends;

  // How they wait when they are many. Written a few times a second, read at every wait.
  alignas(kCacheLineBytes) CrowdTrial crowd_trial;
};

enum class ServerPhase : uint32_t { kStarting, kRunning, kShuttingDown };

struct FaultRow;
struct IncidentRing;

class Segment {
 public:
  // Makes, maps and initialises the segment: in the postmaster (or a test) before the first fork.
  // Refuses a size that does not fit into memory, naming the bytes needed and available.
  static Status Create(const SegmentConfig& config);
  // As after Create, at the same addresses, but for the statistics, which go on counting. When a
  // crash has ended every other process: nobody may be using anything.
  static void Reset();
  static void Destroy();  // tests: unmaps
  static bool Exists();

  static const SegmentConfig& Config();
  static std::span<const SharedStructureInfo> Structures();
  static size_t TotalBytes();
  static bool HugePages();
  static bool Contains(const void* address);

  // The structures. Valid in every process forked after Create, at the same addresses.
  static ServerState& Server();
  static ProcArray Procs();
  static LockSpace& Locks();
  static LWLock& SettingsLock();
  static LWLock& WalSegmentLock();
  static LWLock& WalInsertLock();
  static LWLock& WalFlushLock();
  static LWLock& DataFileLock();
  static WalState& Wal();
  static CheckpointRequests& Checkpoints();
  static VacuumState& Vacuum();
  static std::span<FaultRow> Faults();  // by FaultPoint
  static IncidentRing& IncidentRows();
  static std::span<std::byte> WalRing();
  static DatabaseCounts& Database(uint32_t database);
  static std::span<SlotReserve> Reserves();  // by slot
  // How often keys with such a hash were erased: raised under the leaf's lock, before the record.
  static std::atomic<uint64_t>& KeyRemovals(uint64_t hash);
  // Opaque areas of modules that define their own contents.
  static std::byte* SettingsArea();  // conf/shared_settings.h: kSharedSettingsBytes
  static std::byte* MiniTransactionArea(SlotIndex slot);  // kMiniTransactionAreaBytes each
  static std::byte* StatBlocks();                         // shmem/stats.cpp
  static std::byte* StatBaseline();

  // Gives the calling process its slot: binds locks, statistics and the process array.
  static void BindProcess(SlotIndex slot);
};

// Per slot: the record being built or applied, and before-images (storage/mini_transaction.h).
inline constexpr size_t kMiniTransactionAreaBytes = 64 * 1024;

}  // namespace warren

#include "shmem/segment.h"

#include <array>
#include <cstring>
#include <new>

#include "base/check.h"
#include "conf/shared_settings.h"
#include "lwlock/slot_names.h"
#include "shmem/buffer_pool.h"
#include "shmem/fault_table.h"
#include "shmem/incident.h"
#include "shmem/leaf_hint_table.h"
#include "shmem/lock_pool.h"
#include "shmem/lock_table.h"
#include "shmem/shared_mapping.h"
#include "shmem/slot_name.h"
#include "shmem/stats.h"

namespace warren {
namespace {

using Config = SegmentConfig;

// Slots for replacements of processes that died and whose slots are not free yet: as many as there
// are auxiliary kinds are kept for those (postmaster/supervisor.cpp), the others are for backends.
constexpr uint32_t kSpareSlots = 16;
constexpr uint32_t kLeastBuffers = 16;  // the pages of two mini-transactions
constexpr size_t kSmallPageBytes = 4096;

constexpr size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

template <typename T>
void InitArray(std::byte* at, size_t count) {
  for (size_t i = 0; i < count; ++i) new (at + i * sizeof(T)) T();
}

void InitLocks(std::byte* at, const Config& config, TrancheId tranche, size_t count) {
  const uint32_t slots = config.slot_count();
  for (uint32_t i = 0; i < count; ++i) InitLWLock(at + i * LWLockBytes(slots), slots, tranche, i);
}

void InitHeads(std::byte* at, const Config& config) {
  for (size_t i = 0; i < BucketCount(config.buffer_count); ++i) {
    new (at + i * sizeof(BufferIndex)) std::atomic<BufferIndex>(kNoBuffer);
  }
}

// Every structure of the segment, in the order of the table below.
enum Structure : size_t {
  kServerState,
  kLockSpace,
  kProcArray,
  kSettingsLock,
  kSettingsArea,
  kWalInsertLock,
  kWalSegmentLock,
  kWalFlushLock,
  kDataFileLock,
  kWalState,
  kCheckpoints,
  kVacuum,
  kFaults,
  kIncidents,
  kWalRing,
  kDatabaseCounts,
  kKeyRemovals,
  kSlotReserves,
  kStatBlocks,
  kStatBaseline,
  kMiniTransactions,
  kLockPartitionRows,
  kLockPartitionLocks,
  kDeadlockLock,
  kLockTableState,
  kLockDatabases,
  kLockOwners,
  kLockBuckets,
  kLockEntries,
  kBufferDescriptors,
  kBufferContentLocks,
  kBufferMappingHeads,
  kBufferMappingLocks,
  kClockHand,
  kLeafHints,
  kBufferPages,
  kStructureCount
};

struct StructureRow {
  Structure id;
  std::string_view name;
  size_t alignment;
  size_t (*bytes)(const Config&);
  void (*init)(std::byte* at, const Config&);  // the bytes are all zero before
  std::string_view help;
};

size_t OneLockBytes(const Config& config) { return LWLockBytes(config.slot_count()); }
void LeaveZero(std::byte*, const Config&) {}

constexpr size_t kLine = kCacheLineBytes;

// To add a structure: a row here, its constant above, and an accessor in segment.h.
constexpr std::array<StructureRow, kStructureCount> kSharedStructures = {{
    {.id = kServerState,
     .name = "server_state",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(ServerState); },
     .init = [](std::byte* at, const Config&) { InitArray<ServerState>(at, 1); },
     .help = "phase, start time, client ids, number of connections"},
    {.id = kLockSpace,
     .name = "lock_space",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(LockSpace); },
     .init =
         [](std::byte* at, const Config& config) {
           new (at) LockSpace{config.slot_count(), 0};
         },
     .help = "which reader words of the lwlocks are in use"},
    {.id = kProcArray,
     .name = "proc_array",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.slot_count() * sizeof(Proc); },
     .init = [](std::byte* at, const Config& config) { InitArray<Proc>(at, config.slot_count()); },
     .help = "one slot per process: who it is, what it does, what it holds"},
    {.id = kSettingsLock,
     .name = "settings_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kSettings, 1); },
     .help = "serialises changes of settings"},
    {.id = kSettingsArea,
     .name = "settings",
     .alignment = kLine,
     .bytes = [](const Config&) { return kSharedSettingsBytes; },
     .init = LeaveZero,
     .help = "the settings in force, in two copies, and requests to change them"},
    {.id = kWalInsertLock,
     .name = "wal_insert_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kWalInsert, 1); },
     .help = "serialises inserts into the log"},
    {.id = kWalSegmentLock,
     .name = "wal_segment_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kWalSegment, 1); },
     .help = "serialises the making and removing of log files"},
    {.id = kWalFlushLock,
     .name = "wal_flush_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kWalFlush, 1); },
     .help = "serialises writing and syncing the log"},
    {.id = kDataFileLock,
     .name = "data_file_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kDataFile, 1); },
     .help = "serialises changes of the data file's length"},
    {.id = kWalState,
     .name = "wal_state",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(WalState); },
     .init = [](std::byte* at, const Config&) { InitArray<WalState>(at, 1); },
     .help = "how far the log is inserted, written and durable"},
    {.id = kCheckpoints,
     .name = "checkpoint_requests",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(CheckpointRequests); },
     .init = [](std::byte* at, const Config&) { InitArray<CheckpointRequests>(at, 1); },
     .help = "who wants a checkpoint, and which ones are done"},
    {.id = kVacuum,
     .name = "vacuum_state",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(VacuumState); },
     .init = [](std::byte* at, const Config&) { InitArray<VacuumState>(at, 1); },
     .help = "who wants a vacuum, which ones are done, and until when it sleeps"},
    {.id = kFaults,
     .name = "fault_points",
     .alignment = kLine,
     .bytes = [](const Config&) { return kFaultPointCount * sizeof(FaultRow); },
     .init = [](std::byte* at, const Config&) { InitArray<FaultRow>(at, kFaultPointCount); },
     .help = "what happens to whom at the fault points, and how often it has"},
    {.id = kIncidents,
     .name = "incidents",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(IncidentRing); },
     .init = [](std::byte* at, const Config&) { InitArray<IncidentRing>(at, 1); },
     .help = "the newest abnormal deaths, and what each cost whom"},
    {.id = kWalRing,
     .name = "wal_ring",
     .alignment = kSmallPageBytes,
     .bytes = [](const Config& config) { return size_t{config.wal_ring_bytes}; },
     .init = LeaveZero,
     .help = "the log's newest bytes, until they are durable"},
    {.id = kDatabaseCounts,
     .name = "database_counts",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.database_count * sizeof(DatabaseCounts); },
     .init = [](std::byte* at,
                const Config& config) { InitArray<DatabaseCounts>(at, config.database_count); },
     .help = "keys, and keys with an expiry time, of each database"},
    {.id = kKeyRemovals,
     .name = "key_removals",
     .alignment = kLine,
     .bytes = [](const Config&) { return kRemovalCounters * sizeof(std::atomic<uint64_t>); },
     .init = [](std::byte* at,
                const Config&) { InitArray<std::atomic<uint64_t>>(at, kRemovalCounters); },
     .help = "how often keys were erased, by the hash of the key"},
    {.id = kSlotReserves,
     .name = "slot_reserves",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.slot_count() * sizeof(SlotReserve); },
     .init = [](std::byte* at,
                const Config& config) { InitArray<SlotReserve>(at, config.slot_count()); },
     .help = "pages and log that each process's commit may still use when the disk is full"},
    {.id = kStatBlocks,
     .name = "statistics",
     .alignment = kLine,
     .bytes =
         [](const Config& config) {
           return Stats::BlocksBytes(config.slot_count(), config.command_count);
         },
     .init = LeaveZero,
     .help = "one block of counters per process slot, and the postmaster's"},
    {.id = kStatBaseline,
     .name = "statistics_baseline",
     .alignment = kLine,
     .bytes = [](const Config& config) { return Stats::BaselineBytes(config.command_count); },
     .init = LeaveZero,
     .help = "the sums at the last reset"},
    {.id = kMiniTransactions,
     .name = "mini_transactions",
     .alignment = kSmallPageBytes,
     .bytes = [](const Config& config) { return config.slot_count() * kMiniTransactionAreaBytes; },
     .init = LeaveZero,
     .help = "the record under construction and the before-images of each process slot"},
    {.id = kLockPartitionRows,
     .name = "lock_partitions",
     .alignment = kLine,
     .bytes = [](const Config&) { return kLockPartitions * sizeof(LockPartition); },
     .init = [](std::byte* at, const Config&) { InitArray<LockPartition>(at, kLockPartitions); },
     .help = "counters and free list of each partition of the lock table"},
    {.id = kLockPartitionLocks,
     .name = "lock_partition_locks",
     .alignment = kLine,
     .bytes = [](const Config& config) { return kLockPartitions * OneLockBytes(config); },
     .init =
         [](std::byte* at, const Config& config) {
           InitLocks(at, config, TrancheId::kLockPartition, kLockPartitions);
         },
     .help = "one lwlock per partition of the lock table"},
    {.id = kDeadlockLock,
     .name = "deadlock_lock",
     .alignment = kLine,
     .bytes = OneLockBytes,
     .init = [](std::byte* at,
                const Config& config) { InitLocks(at, config, TrancheId::kDeadlock, 1); },
     .help = "serialises the searches for deadlocks"},
    {.id = kLockTableState,
     .name = "lock_table",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(LockTableState); },
     .init = [](std::byte* at, const Config&) { InitArray<LockTableState>(at, 1); },
     .help = "the youngest transaction's age, and when deadlocks were looked for"},
    {.id = kLockDatabases,
     .name = "lock_databases",
     .alignment = kLine,
     .bytes =
         [](const Config& config) { return config.database_count * sizeof(std::atomic<uint32_t>); },
     .init = LeaveZero,
     .help = "how many hold or want a whole database in the lock table"},
    {.id = kLockOwners,
     .name = "lock_owners",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.slot_count() * sizeof(LockOwner); },
     .init = LeaveZero,
     .help = "what each process slot waits for in the lock table, and why it has to give way"},
    {.id = kLockBuckets,
     .name = "lock_buckets",
     .alignment = kLine,
     .bytes =
         [](const Config& config) {
           return kLockPartitions * size_t{LockBuckets(config.lock_count)} * sizeof(uint32_t);
         },
     .init = LeaveZero,
     .help = "the first entry of each bucket of the lock table's hash"},
    {.id = kLockEntries,
     .name = "lock_entries",
     .alignment = kLine,
     .bytes =
         [](const Config& config) {
           return kLockPartitions * size_t{LockSlice(config.lock_count)} * sizeof(LockEntry);
         },
     .init = LeaveZero,
     .help = "who holds or awaits what: the truth of the lock table"},
    {.id = kBufferDescriptors,
     .name = "buffer_descriptors",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.buffer_count * sizeof(BufferDescriptor); },
     .init = [](std::byte* at,
                const Config& config) { InitArray<BufferDescriptor>(at, config.buffer_count); },
     .help = "which page is in each buffer, and in which state"},
    {.id = kBufferContentLocks,
     .name = "buffer_content_locks",
     .alignment = kLine,
     .bytes = [](const Config& config) { return config.buffer_count * OneLockBytes(config); },
     .init =
         [](std::byte* at, const Config& config) {
           InitLocks(at, config, TrancheId::kBufferContent, config.buffer_count);
         },
     .help = "one lwlock per buffer"},
    {.id = kBufferMappingHeads,
     .name = "buffer_mapping_heads",
     .alignment = kLine,
     .bytes =
         [](const Config& config) {
           return BucketCount(config.buffer_count) * sizeof(std::atomic<BufferIndex>);
         },
     .init = InitHeads,
     .help = "the first buffer of each bucket of the page-to-buffer hash"},
    {.id = kBufferMappingLocks,
     .name = "buffer_mapping_locks",
     .alignment = kLine,
     .bytes = [](const Config& config) { return kMappingPartitions * OneLockBytes(config); },
     .init =
         [](std::byte* at, const Config& config) {
           InitLocks(at, config, TrancheId::kBufferMapping, kMappingPartitions);
         },
     .help = "one lwlock per partition of the page-to-buffer hash"},
    {.id = kClockHand,
     .name = "buffer_clock",
     .alignment = kLine,
     .bytes = [](const Config&) { return sizeof(ClockHand); },
     .init = [](std::byte* at, const Config&) { InitArray<ClockHand>(at, 1); },
     .help = "where the next look for a victim begins"},
    {.id = kLeafHints,
     .name = "leaf_hints",
     .alignment = kLine,
     .bytes =
         [](const Config& config) {
           return LeafHintBuckets(config.buffer_count) * sizeof(LeafHintBucket);
         },
     .init = LeaveZero,
     .help = "where in the cache a key with such a hash was found last"},
    {.id = kBufferPages,
     .name = "buffer_pages",
     .alignment = kPageBytes,
     .bytes = [](const Config& config) { return size_t{config.buffer_count} * kPageBytes; },
     .init = LeaveZero,
     .help = "the cached pages"},
}};

constexpr bool RowsFollowTheEnum() {
  for (size_t i = 0; i < kStructureCount; ++i) {
    if (kSharedStructures[i].id != i) return false;
  }
  return true;
}
static_assert(RowsFollowTheEnum());

// Process-private, set before the first fork and so the same in every process.
struct Layout {
  Config config;
  size_t bytes = 0;
  SharedMapping mapping;
  std::array<SharedStructureInfo, kStructureCount> structures;
};
Layout g_segment;

// Sets every structure's offset and the bytes of the whole.
void LayOut(Layout& layout) {
  size_t end = 0;
  for (const StructureRow& row : kSharedStructures) {
    const size_t offset = RoundUp(end, row.alignment);
    const size_t bytes = row.bytes(layout.config);
    layout.structures[row.id] = {row.name, offset, bytes, row.help};
    end = offset + bytes;
  }
  layout.bytes = RoundUp(end, kSmallPageBytes);
}

std::byte* At(Structure id) {
  DCHECK(g_segment.mapping.base != nullptr, "there is no segment");
  return g_segment.mapping.base + g_segment.structures[id].offset;
}

LWLock& LockAt(Structure id) { return *reinterpret_cast<LWLock*>(At(id)); }

BufferPool MakeBufferPool(const Config& config) {
  return {
      .count = config.buffer_count,
      .bucket_mask = static_cast<uint32_t>(BucketCount(config.buffer_count) - 1),
      .descriptors = reinterpret_cast<BufferDescriptor*>(At(kBufferDescriptors)),
      .page_bytes = At(kBufferPages),
      .heads = reinterpret_cast<std::atomic<BufferIndex>*>(At(kBufferMappingHeads)),
      .clock = reinterpret_cast<ClockHand*>(At(kClockHand)),
      .content_locks = LWLockArray(At(kBufferContentLocks), config.slot_count()),
      .partition_locks = LWLockArray(At(kBufferMappingLocks), config.slot_count()),
  };
}

LockPool MakeLockPool(const Config& config) {
  return {
      .slice = LockSlice(config.lock_count),
      .buckets = LockBuckets(config.lock_count),
      .databases = config.database_count,
      .slots = config.slot_count(),
      .entries = reinterpret_cast<LockEntry*>(At(kLockEntries)),
      .heads = reinterpret_cast<uint32_t*>(At(kLockBuckets)),
      .partitions = reinterpret_cast<LockPartition*>(At(kLockPartitionRows)),
      .strong = reinterpret_cast<std::atomic<uint32_t>*>(At(kLockDatabases)),
      .owners = reinterpret_cast<LockOwner*>(At(kLockOwners)),
      .state = reinterpret_cast<LockTableState*>(At(kLockTableState)),
      .deadlock_lock = &LockAt(kDeadlockLock),
      .partition_locks = LWLockArray(At(kLockPartitionLocks), config.slot_count()),
  };
}

}  // namespace

uint32_t SegmentConfig::slot_count() const {
  const auto auxiliary_kinds = static_cast<uint32_t>(ProcessKinds().size() - 1);  // all but backend
  return max_connections + auxiliary_kinds + kSpareSlots;
}

Status Segment::Create(const SegmentConfig& config) {
  CHECK(!Exists(), "there is a segment already");
  if (config.buffer_count < kLeastBuffers) {
    return MakeError(ErrorCode::kGeneric, "shared memory: {} buffers are too few, {} are the least",
                     config.buffer_count, kLeastBuffers);
  }
  Layout layout{.config = config, .mapping = {}, .structures = {}};
  LayOut(layout);
  ASSIGN_OR_RETURN(layout.mapping, MapShared(layout.bytes, config.huge_pages));
  g_segment = layout;
  for (const StructureRow& row : kSharedStructures) row.init(At(row.id), config);
  g_buffer_pool = MakeBufferPool(config);
  g_lock_pool = MakeLockPool(config);
  g_leaf_hint_table = {.bucket_count = LeafHintBuckets(config.buffer_count),
                       .buckets = reinterpret_cast<LeafHintBucket*>(At(kLeafHints))};
  g_slot_describer = DescribeSlot;
  return {};
}

void Segment::Reset() {
  for (const StructureRow& row : kSharedStructures) {
    const bool keeps_counting = row.id == kStatBlocks || row.id == kStatBaseline;
    if (keeps_counting) continue;
    // What is in a buffer without a tag means nothing.
    if (row.id != kBufferPages) std::memset(At(row.id), 0, g_segment.structures[row.id].bytes);
    row.init(At(row.id), g_segment.config);
  }
}

void Segment::Destroy() {
  if (!Exists()) return;
  UnmapShared(g_segment.mapping);
  UnbindLockProc();
  Stats::Unbind();
  ProcArray::BindSelf(nullptr, kNoSlot);
  g_slot_describer = nullptr;
  g_buffer_pool = {};
  g_lock_pool = {};
  g_leaf_hint_table = {};
  g_segment = {};
}

bool Segment::Exists() { return g_segment.mapping.base != nullptr; }

const SegmentConfig& Segment::Config() { return g_segment.config; }
std::span<const SharedStructureInfo> Segment::Structures() { return g_segment.structures; }
size_t Segment::TotalBytes() { return g_segment.mapping.bytes; }
bool Segment::HugePages() { return g_segment.mapping.huge_pages; }
bool Segment::Contains(const void* address) {
  const auto* const byte = static_cast<const std::byte*>(address);
  return byte >= g_segment.mapping.base && byte < g_segment.mapping.base + TotalBytes();
}

ServerState& Segment::Server() { return *reinterpret_cast<ServerState*>(At(kServerState)); }
ProcArray Segment::Procs() {
  return ProcArray({reinterpret_cast<Proc*>(At(kProcArray)), g_segment.config.slot_count()});
}
LockSpace& Segment::Locks() { return *reinterpret_cast<LockSpace*>(At(kLockSpace)); }
LWLock& Segment::SettingsLock() { return LockAt(kSettingsLock); }
LWLock& Segment::WalInsertLock() { return LockAt(kWalInsertLock); }
LWLock& Segment::WalSegmentLock() { return LockAt(kWalSegmentLock); }
LWLock& Segment::WalFlushLock() { return LockAt(kWalFlushLock); }
LWLock& Segment::DataFileLock() { return LockAt(kDataFileLock); }
WalState& Segment::Wal() { return *reinterpret_cast<WalState*>(At(kWalState)); }
CheckpointRequests& Segment::Checkpoints() {
  return *reinterpret_cast<CheckpointRequests*>(At(kCheckpoints));
}
VacuumState& Segment::Vacuum() { return *reinterpret_cast<VacuumState*>(At(kVacuum)); }
std::span<FaultRow> Segment::Faults() {
  return {reinterpret_cast<FaultRow*>(At(kFaults)), kFaultPointCount};
}
IncidentRing& Segment::IncidentRows() { return *reinterpret_cast<IncidentRing*>(At(kIncidents)); }
std::span<std::byte> Segment::WalRing() { return {At(kWalRing), g_segment.config.wal_ring_bytes}; }

DatabaseCounts& Segment::Database(uint32_t database) {
  CHECK(database < g_segment.config.database_count, "there is no database {}", database);
  return reinterpret_cast<DatabaseCounts*>(At(kDatabaseCounts))[database];
}

std::span<SlotReserve> Segment::Reserves() {
  return {reinterpret_cast<SlotReserve*>(At(kSlotReserves)), g_segment.config.slot_count()};
}
std::atomic<uint64_t>& Segment::KeyRemovals(uint64_t hash) {
  return reinterpret_cast<std::atomic<uint64_t>*>(At(kKeyRemovals))[hash % kRemovalCounters];
}

std::byte* Segment::SettingsArea() { return At(kSettingsArea); }
std::byte* Segment::MiniTransactionArea(SlotIndex slot) {
  CHECK(slot < g_segment.config.slot_count());
  return At(kMiniTransactions) + slot * kMiniTransactionAreaBytes;
}
std::byte* Segment::StatBlocks() { return At(kStatBlocks); }
std::byte* Segment::StatBaseline() { return At(kStatBaseline); }

void Segment::BindProcess(SlotIndex slot) {
  CHECK(slot < g_segment.config.slot_count());
  Proc& proc = Procs()[slot];
  CoverSlot(Locks(), slot);
  BindLockProc(&Locks(), &proc.locks, slot);
  Stats::BindSelf(slot);
  ProcArray::BindSelf(&proc, slot);
  LockTable::BindSelf();
}

}  // namespace warren

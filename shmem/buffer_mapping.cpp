#include "shmem/buffer_mapping.h"

#include <algorithm>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"

namespace warren {
namespace {

// A walk without a lock can be led from chain to chain by buffers that are just re-tagged; after so
// many steps it is no longer believed.
constexpr uint32_t kMaxUnlockedSteps = 12;

LWLock& PartitionLock(uint32_t partition) { return g_buffer_pool.partition_locks[partition]; }

BufferDescriptor& Descriptor(BufferIndex buffer) { return g_buffer_pool.descriptors[buffer]; }

std::atomic<BufferIndex>& Head(PageNo page_no) { return g_buffer_pool.heads[BucketOf(page_no)]; }

// Under the partition's lock, shared or exclusive.
BufferIndex FindUnderLock(PageNo page_no) {
  uint32_t steps = 0;
  BufferIndex buffer = Head(page_no).load(std::memory_order_relaxed);
  while (buffer != kNoBuffer && !Descriptor(buffer).Load().Holds(page_no)) {
    CHECK(++steps <= g_buffer_pool.count, "a buffer chain has a cycle");
    buffer = Descriptor(buffer).next.load(std::memory_order_relaxed);
  }
  return buffer;
}

void Link(BufferIndex buffer, std::atomic<BufferIndex>& head) {
  Descriptor(buffer).next.store(head.load(std::memory_order_relaxed), std::memory_order_relaxed);
  // After the descriptor: partner of the acquiring load in FindBuffer.
  StoreAfter(head, buffer);
}

void Unlink(BufferIndex buffer, std::atomic<BufferIndex>& head) {
  std::atomic<BufferIndex>* link = &head;
  for (uint32_t steps = 0; link->load(std::memory_order_relaxed) != buffer; ++steps) {
    const BufferIndex here = link->load(std::memory_order_relaxed);
    CHECK(here != kNoBuffer && steps <= g_buffer_pool.count, "buffer {} is not on its chain",
          buffer);
    link = &Descriptor(here).next;
  }
  link->store(Descriptor(buffer).next.load(std::memory_order_relaxed), std::memory_order_release);
}

// Both partitions exclusively, in partition order; one lock if they are the same.
class PartitionPair {
 public:
  PartitionPair(uint32_t a, uint32_t b) NO_THREAD_SAFETY_ANALYSIS : first_(std::min(a, b)),
                                                                    second_(std::max(a, b)) {
    AcquireExclusive(PartitionLock(first_));
    if (second_ != first_) AcquireExclusive(PartitionLock(second_));
  }
  ~PartitionPair() NO_THREAD_SAFETY_ANALYSIS {
    if (second_ != first_) ReleaseExclusive(PartitionLock(second_));
    ReleaseExclusive(PartitionLock(first_));
  }
  PartitionPair(const PartitionPair&) = delete;
  PartitionPair& operator=(const PartitionPair&) = delete;

 private:
  uint32_t first_;
  uint32_t second_;
};

// Under the locks of both partitions. At every moment the descriptor names one page, and the chains
// can be made again from it.
void MoveTag(BufferIndex buffer, BufferState before, PageNo page_no) noexcept {
  FAULT_POINT(kBufferUnlink);
  if (before.in_use()) Unlink(buffer, Head(before.page_no()));
  FAULT_POINT(kBufferTag);
  StoreAfter(Descriptor(buffer).state, BufferState::Tagged(page_no).word());
  FAULT_POINT(kBufferLink);
  Link(buffer, Head(page_no));
}

Error ChainError(uint32_t bucket, BufferIndex buffer, const char* what) {
  return MakeError(ErrorCode::kGeneric, "buffer cache: bucket {}: buffer {} (page {}) {}", bucket,
                   buffer, Descriptor(buffer).Load().page_no(), what);
}

// Counts the chain's buffers into *found; the caller holds the partition.
Status CheckChain(uint32_t bucket, uint32_t* found) {
  uint32_t steps = 0;
  for (BufferIndex buffer = g_buffer_pool.heads[bucket].load(); buffer != kNoBuffer;
       buffer = Descriptor(buffer).next.load()) {
    if (buffer >= g_buffer_pool.count) {
      return MakeError(ErrorCode::kGeneric,
                       "buffer cache: bucket {} leads to buffer {}, which does not exist", bucket,
                       buffer);
    }
    if (++steps > g_buffer_pool.count) return ChainError(bucket, buffer, "is on a cycle");
    const BufferState state = Descriptor(buffer).Load();
    if (!state.in_use()) return ChainError(bucket, buffer, "is on the chain but empty");
    if (BucketOf(state.page_no()) != bucket)
      return ChainError(bucket, buffer, "is on a strange chain");
    if (FindUnderLock(state.page_no()) != buffer) {
      return ChainError(bucket, buffer, "is not the first of its page, or there twice");
    }
  }
  *found += steps;
  return {};
}

Status CheckPartition(uint32_t partition) {
  const SharedLock lock(PartitionLock(partition));
  uint32_t found = 0;
  for (uint32_t bucket = partition; bucket <= g_buffer_pool.bucket_mask;
       bucket += kMappingPartitions) {
    RETURN_IF_ERROR(CheckChain(bucket, &found));
  }
  uint32_t tagged = 0;
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    const BufferState state = Descriptor(buffer).Load();
    if (state.in_use() && PartitionOf(state.page_no()) == partition) ++tagged;
  }
  if (found == tagged) return {};
  return MakeError(ErrorCode::kGeneric,
                   "buffer cache: partition {}: {} buffers are on its chains, {} should be",
                   partition, found, tagged);
}

}  // namespace

BufferIndex FindBuffer(PageNo page_no) {
  BufferIndex buffer = Head(page_no).load(std::memory_order_acquire);
  for (uint32_t steps = 0; steps < kMaxUnlockedSteps; ++steps) {
    if (buffer == kNoBuffer) return kNoBuffer;
    const BufferDescriptor& descriptor = Descriptor(buffer);
    if (descriptor.Load().Holds(page_no)) return buffer;
    buffer = descriptor.next.load(std::memory_order_acquire);
  }
  const SharedLock lock(PartitionLock(PartitionOf(page_no)));
  return FindUnderLock(page_no);
}

BufferIndex TagBuffer(BufferIndex buffer, PageNo page_no) {
  const BufferState before = Descriptor(buffer).Load();
  DCHECK(HoldsExclusive(g_buffer_pool.content_locks[buffer]));
  CHECK(!before.dirty(), "buffer {} is dirty", buffer);
  const uint32_t wanted = PartitionOf(page_no);
  const PartitionPair locks(before.in_use() ? PartitionOf(before.page_no()) : wanted, wanted);
  if (const BufferIndex other = FindUnderLock(page_no); other != kNoBuffer) return other;
  MoveTag(buffer, before, page_no);
  return kNoBuffer;
}

void UntagBuffer(BufferIndex buffer) {
  DCHECK(HoldsExclusive(g_buffer_pool.content_locks[buffer]));
  const BufferState before = Descriptor(buffer).Load();
  const ExclusiveLock lock(PartitionLock(PartitionOf(before.page_no())));
  Unlink(buffer, Head(before.page_no()));
  StoreAfter(Descriptor(buffer).state, BufferState().word());
}

void RelinkPartition(uint32_t partition) noexcept {
  if (WARREN_SEEDED_BUG(chains_not_relinked)) return;
  for (uint32_t bucket = partition; bucket <= g_buffer_pool.bucket_mask;
       bucket += kMappingPartitions) {
    g_buffer_pool.heads[bucket].store(kNoBuffer);
  }
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    // A tag of this partition can't change meanwhile: that takes its lock.
    const BufferState state = Descriptor(buffer).Load();
    if (state.in_use() && PartitionOf(state.page_no()) == partition)
      Link(buffer, Head(state.page_no()));
  }
}

Status CheckMapping() {
  for (uint32_t partition = 0; partition < kMappingPartitions; ++partition) {
    RETURN_IF_ERROR(CheckPartition(partition));
  }
  return {};
}

}  // namespace warren

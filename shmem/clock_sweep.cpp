#include "shmem/clock_sweep.h"

#include <optional>

#include "shmem/buffer_io.h"
#include "shmem/buffer_pool.h"

namespace warren {
namespace {

// A disk that refused so many pages is asked for no more in one search: only clean buffers are.
constexpr uint32_t kMaxWriteFailures = 8;

BufferIndex Advance() {
  const uint64_t position = g_buffer_pool.clock->position.fetch_add(1, std::memory_order_relaxed);
  return static_cast<BufferIndex>(position % g_buffer_pool.count);
}

// True if the hand passes on: the buffer was used since it came by last.
bool TakesOneUsage(BufferDescriptor& descriptor) {
  const uint32_t usage = descriptor.usage.load(std::memory_order_relaxed);
  if (usage == 0) return false;
  descriptor.usage.store(usage - 1, std::memory_order_relaxed);
  return true;
}

}  // namespace

Result<BufferIndex> TakeVictim() NO_THREAD_SAFETY_ANALYSIS {
  std::optional<Error> write_error;
  uint32_t write_failures = 0;
  // Every buffer is met once with its usage spent, even if nobody else moves the hand.
  const uint64_t steps = uint64_t{g_buffer_pool.count} * (kMaxUsage + 1);
  for (uint64_t step = 0; step < steps; ++step) {
    const BufferIndex buffer = Advance();
    BufferDescriptor& descriptor = g_buffer_pool.descriptors[buffer];
    if (TakesOneUsage(descriptor)) continue;
    if (descriptor.Load().dirty() && write_failures == kMaxWriteFailures) continue;
    LWLock& lock = g_buffer_pool.content_locks[buffer];
    if (!TryAcquireExclusive(lock)) continue;
    Status written = WriteOut(buffer, StatId::kBufferWritesBackend);
    if (written.ok()) return buffer;
    ReleaseExclusive(lock);
    write_error = std::move(written).error();
    ++write_failures;
  }
  if (write_error) return *std::move(write_error);
  return MakeError(ErrorCode::kBusy, "buffer cache: all {} buffers are in use",
                   g_buffer_pool.count);
}

BufferIndex ClockPosition() {
  const uint64_t position = g_buffer_pool.clock->position.load(std::memory_order_relaxed);
  return static_cast<BufferIndex>(position % g_buffer_pool.count);
}

}  // namespace warren

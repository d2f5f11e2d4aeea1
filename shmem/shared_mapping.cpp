#include "shmem/shared_mapping.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "shmem/memory_limit.h"

namespace warren {
namespace {

constexpr size_t kSmallPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;

// MADV_COLLAPSE of Linux 6.1: puts the pages of a mapping together to huge ones, now.
constexpr int kCollapse = 25;

constexpr size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

Error MemoryError(size_t bytes, const char* what) {
  return MakeError(ErrorCode::kGeneric, "shared memory: {} bytes can't be {}: {}", bytes, what,
                   std::strerror(errno));
}

// Asked before allocating: an allocation beyond what is there would not fail but wake the kernel's
// out-of-memory killer.
Status CheckFits(size_t bytes) {
  const AvailableMemory available = ReadAvailableMemory();
  if (bytes <= available.bytes) return {};
  return MakeError(ErrorCode::kGeneric,
                   "shared memory: {} bytes are needed, but only {} are available ({}); lower "
                   "shared_buffers or max_connections",
                   bytes, available.bytes, available.source);
}

Status Allocate(int fd, size_t bytes) {
  int result;
  do {
    result = fallocate(fd, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return MemoryError(bytes, "allocated");
  return {};
}

// Maps the file at an address that huge pages can be mapped at.
void* MapAligned(int fd, size_t bytes) {
  const size_t reserved_bytes = bytes + kHugePageBytes;
  void* reserved =
      mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  const auto start = reinterpret_cast<uintptr_t>(reserved);
  const uintptr_t aligned = RoundUp(start, kHugePageBytes);
  if (aligned > start) munmap(reserved, aligned - start);
  const uintptr_t end = aligned + RoundUp(bytes, kSmallPageBytes);
  if (start + reserved_bytes > end) {
    munmap(reinterpret_cast<void*>(end), start + reserved_bytes - end);
  }
  return mmap(reinterpret_cast<void*>(aligned), bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED, fd, 0);
}

Result<std::byte*> AllocateAndMap(int fd, size_t bytes) {
  RETURN_IF_ERROR(Allocate(fd, bytes));
  void* base = MapAligned(fd, bytes);
  if (base == MAP_FAILED) return MemoryError(bytes, "mapped");
  // Dumping it would delay the reaping of a dead child by seconds.
  madvise(base, bytes, MADV_DONTDUMP);
  return static_cast<std::byte*>(base);
}

// The memory file lives as long as the mapping does.
Result<std::byte*> MapMemoryFile(size_t bytes, unsigned extra_flags) {
  const int fd = memfd_create("warren", MFD_CLOEXEC | extra_flags);
  if (fd < 0) return MemoryError(bytes, "given a memory file");
  Result<std::byte*> base = AllocateAndMap(fd, bytes);
  close(fd);
  return base;
}

}  // namespace

Result<SharedMapping> MapShared(size_t bytes, bool want_huge_pages) {
  const size_t huge_bytes = RoundUp(bytes, kHugePageBytes);
  if (want_huge_pages) {  // those that the administrator set aside
    Result<std::byte*> base = MapMemoryFile(huge_bytes, MFD_HUGETLB | MFD_HUGE_2MB);
    if (base.ok()) return SharedMapping{*base, huge_bytes, true};
  }
  const size_t rounded = want_huge_pages ? huge_bytes : RoundUp(bytes, kSmallPageBytes);
  RETURN_IF_ERROR(CheckFits(rounded));
  ASSIGN_OR_RETURN(std::byte * base, MapMemoryFile(rounded, 0));
  const bool huge = want_huge_pages && madvise(base, rounded, kCollapse) == 0;
  if (want_huge_pages && !huge) {
    log::Notice("no huge pages, using ordinary ones: {}", std::strerror(errno));
  }
  return SharedMapping{base, rounded, huge};
}

void UnmapShared(const SharedMapping& mapping) { CHECK(munmap(mapping.base, mapping.bytes) == 0); }

}  // namespace warren

#include "shmem/shared_mapping.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "shmem/memory_limit.h"

namespace warren {
namespace {

constexpr size_t kSmallPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;

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

Result<std::byte*> AllocateAndMap(int fd, size_t bytes) {
  RETURN_IF_ERROR(Allocate(fd, bytes));
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
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
  if (want_huge_pages) {
    const size_t rounded = RoundUp(bytes, kHugePageBytes);
    Result<std::byte*> base = MapMemoryFile(rounded, MFD_HUGETLB | MFD_HUGE_2MB);
    if (base.ok()) return SharedMapping{*base, rounded, true};
    log::Notice("no huge pages, using ordinary ones: {}", base.error().message);
  }
  const size_t rounded = RoundUp(bytes, kSmallPageBytes);
  RETURN_IF_ERROR(CheckFits(rounded));
  ASSIGN_OR_RETURN(std::byte * base, MapMemoryFile(rounded, 0));
  return SharedMapping{base, rounded, false};
}

void UnmapShared(const SharedMapping& mapping) { CHECK(munmap(mapping.base, mapping.bytes) == 0); }

}  // namespace warren

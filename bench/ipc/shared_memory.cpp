#include "bench/ipc/shared_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace warren::ipc {

SharedMemory::SharedMemory(size_t bytes) : bytes_(Rounded(bytes)) {
  void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  CHECK(at != MAP_FAILED, "{} bytes of shared memory: {}", bytes, std::strerror(errno));
  base_ = static_cast<std::byte*>(at);
}

SharedMemory::~SharedMemory() { munmap(base_, bytes_); }

std::byte* SharedMemory::AllocateBytes(size_t bytes) {
  std::byte* at = base_ + used_;
  used_ += Rounded(bytes);
  CHECK(used_ <= bytes_, "{} of {} bytes", used_, bytes_);
  return at;
}

}  // namespace warren::ipc

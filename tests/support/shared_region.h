// How does a test get memory that its forked children share with it?
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace warren::test {

// Zeroed memory that stays shared across fork(), given out piece by piece and unmapped with it.
class SharedRegion {
 public:
  explicit SharedRegion(size_t bytes) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(at);
  }
  ~SharedRegion() { munmap(base_, bytes_); }
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  // Cache-line aligned.
  std::byte* AllocateBytes(size_t bytes) {
    std::byte* at = base_ + used_;
    used_ += (bytes + 63) / 64 * 64;
    if (used_ > bytes_) std::abort();
    return at;
  }

  // `count` value-initialised objects; never destroyed, so for plain types and atomics only.
  template <typename T>
  T* Allocate(size_t count = 1) {
    return new (AllocateBytes(count * sizeof(T))) T[count]();
  }

 private:
  std::byte* base_ = nullptr;
  size_t bytes_;
  size_t used_ = 0;
};

}  // namespace warren::test

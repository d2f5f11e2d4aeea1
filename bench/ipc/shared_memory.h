// How do the measured processes get memory that they share?
//
// Limits: plain types and atomics only; nothing in it is ever destroyed.
#pragma once

#include <cstddef>
#include <new>

#include "base/ids.h"

namespace warren::ipc {

// Zeroed memory that stays shared across fork(), present from the start (no page fault falls into a
// measurement), given out piece by piece and unmapped with the object.
class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Bytes that AllocateBytes() takes for `bytes`.
  static constexpr size_t Rounded(size_t bytes) {
    return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
  }

  // Cache-line aligned.
  std::byte* AllocateBytes(size_t bytes);

  // `count` value-initialised objects.
  template <typename T>
  T* Allocate(size_t count = 1) {
    return new (AllocateBytes(count * sizeof(T))) T[count]();
  }

 private:
  std::byte* base_ = nullptr;
  size_t bytes_;
  size_t used_ = 0;
};

}  // namespace warren::ipc

// In which order will a killed process's stores to shared memory be found?
//
// A process killed at any instruction leaves in shared memory exactly a prefix, in *machine program
// order*, of its stores. The compiler may reorder the source's stores, so a marker whose place in
// that order matters for repair goes through one of these helpers and nothing else.
#pragma once

#include <atomic>

namespace warren {

// Stores `value`; every later store of this process comes after it. For markers that announce what
// is about to be done ("armed", "pending").
template <typename T, typename U>
inline void StoreBefore(std::atomic<T>& marker, U value) {
  marker.store(static_cast<T>(value), std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Stores `value` after every earlier store of this process, and publishes those stores to other
// processes (release). For markers that declare something done ("valid", "published").
template <typename T, typename U>
inline void StoreAfter(std::atomic<T>& marker, U value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  marker.store(static_cast<T>(value), std::memory_order_release);
}

// Both at once: for markers that divide two phases of work, each of which is judged by the marker
// ("pending" between a lock's section and its release).
template <typename T, typename U>
inline void StoreBetween(std::atomic<T>& marker, U value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  marker.store(static_cast<T>(value), std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace warren

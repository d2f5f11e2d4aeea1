// What is known about one buffer?
//
// The whole truth is one 64-bit word, so that every change of it is one store:
//
//   bits 0-31  page number      bit 32  in use      bit 33  valid      bit 34  dirty
//
//   state               in use  valid  dirty
//   empty                 -       -      -     no page; the word is 0
//   tagged                x       -      -     belongs to a page that nobody has read yet
//   clean                 x       x      -     the page as it is in the file
//   dirty                 x       x      x     the page is newer than the file
//
//            tag               read              MarkDirty
//   empty ---------> tagged ---------> clean ------------> dirty
//     ^                | ^                | ^                |
//     |   drop         | |      tag       | |   written out  |
//     +----------------+ +----------------+ +----------------+
//     +-------------------------- drop ----------------------+
//
// (`tag` of a clean or tagged buffer to another page is the eviction; `drop` forgets pages of a
// truncated file.)
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace warren {

class BufferState {
 public:
  constexpr BufferState() = default;
  constexpr explicit BufferState(uint64_t word) : word_(word) {}
  static constexpr BufferState Tagged(PageNo page_no) { return BufferState(kInUse | page_no); }

  constexpr uint64_t word() const { return word_; }
  constexpr PageNo page_no() const { return static_cast<PageNo>(word_); }
  constexpr bool in_use() const { return (word_ & kInUse) != 0; }
  constexpr bool valid() const { return (word_ & kValid) != 0; }
  constexpr bool dirty() const { return (word_ & kDirty) != 0; }
  constexpr bool Holds(PageNo page_no) const { return (word_ & kTag) == (kInUse | page_no); }

  // For a LockCondition: which bits say whose page it is.
  static constexpr uint64_t TagMask() { return kTag; }

  constexpr BufferState WithValid() const { return BufferState(word_ | kValid); }
  constexpr BufferState WithDirty() const { return BufferState(word_ | kDirty); }
  constexpr BufferState WithoutDirty() const { return BufferState(word_ & ~kDirty); }

  // What the table above allows.
  constexpr bool Plausible() const {
    return (word_ & ~(kTag | kValid | kDirty)) == 0 && (in_use() || word_ == 0) &&
           (valid() || !dirty());
  }

 private:
  static constexpr uint64_t kInUse = uint64_t{1} << 32;
  static constexpr uint64_t kValid = uint64_t{1} << 33;
  static constexpr uint64_t kDirty = uint64_t{1} << 34;
  static constexpr uint64_t kTag = kInUse | 0xffff'ffffu;

  uint64_t word_ = 0;
};

struct BufferDescriptor {
  // A BufferState. The tag changes under the exclusive content lock and the exclusive lock of the
  // partitions of the old and the new page; valid and the setting of dirty under the exclusive
  // content lock; dirty is cleared under the content lock, shared is enough.
  std::atomic<uint64_t> state;
  // The next buffer of the same hash bucket, or kNoBuffer; under the partition's exclusive lock.
  std::atomic<BufferIndex> next;
  // How many rounds of the clock hand it survives. Written by anybody without a lock; a lost update
  // does no harm.
  std::atomic<uint32_t> usage;

  BufferState Load() const { return BufferState(state.load(std::memory_order_acquire)); }
};
static_assert(sizeof(BufferDescriptor) == 16);

}  // namespace warren

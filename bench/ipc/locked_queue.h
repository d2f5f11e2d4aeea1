// How is a bounded queue in shared memory guarded by a lock, and for how long is it held?
#pragma once

#include <cstring>

#include "bench/ipc/channel.h"
#include "bench/ipc/locks.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {

enum class Hold {
  kCount,  // only for looking at and changing the counters: little contention. One producer
  kCopy,   // while the message is copied too: the two are nearly always at it. Many producers
};

// Who finds it full or empty lets go and looks again (spinning), so that the lock is all that is
// compared. The consumer is one.
template <typename Lock>
class LockedQueue : public CopyingChannel {
 public:
  LockedQueue(const ChannelPlan& plan, Hold hold)
      : CopyingChannel(plan.message_bytes),
        hold_(hold),
        places_(plan.places),
        stride_(SharedMemory::Rounded(plan.message_bytes)),
        memory_(sizeof(Counters) + plan.places * stride_),
        counters_(memory_.Allocate<Counters>()),
        places_base_(memory_.AllocateBytes(plan.places * stride_)) {}

  void Join(int member) override { lock_.Join(member); }

  void Send() override {
    const auto room = [this] { return counters_->sent - counters_->taken < places_; };
    const auto copy = [this] {
      std::memcpy(PlaceOf(counters_->sent), made().data(), made().size());
    };
    Pass(room, copy, &Counters::sent);
  }

  std::span<const std::byte> Receive() override {
    const auto message = [this] { return counters_->sent != counters_->taken; };
    const auto copy = [this] {
      std::memcpy(received().data(), PlaceOf(counters_->taken), received().size());
    };
    Pass(message, copy, &Counters::taken);
    return received();
  }

 private:
  struct alignas(kCacheLineBytes) Counters {
    size_t sent;   // changed under the lock; read without it only by the one who changes it
    size_t taken;  // the same
  };

  std::byte* PlaceOf(size_t number) { return places_base_ + number % places_ * stride_; }

  // Once `ready`: copies, and counts one more.
  template <typename Ready, typename Copy>
  void Pass(Ready ready, Copy copy, size_t Counters::*count) NO_THREAD_SAFETY_ANALYSIS {
    Spinner spinner;
    for (lock_.Lock(); !ready(); lock_.Lock()) {
      lock_.Unlock();
      spinner.Pause();
    }
    if (hold_ == Hold::kCopy) {
      copy();
    } else {
      lock_.Unlock();
      copy();
      lock_.Lock();
    }
    counters_->*count += 1;
    lock_.Unlock();
  }

  const Hold hold_;
  const size_t places_;
  const size_t stride_;
  Lock lock_;
  SharedMemory memory_;
  Counters* counters_;
  std::byte* places_base_;
};

template <typename Lock>
MadeChannel MakeLockedQueue(const ChannelPlan& plan, Hold hold) {
  return std::unique_ptr<Channel>(new LockedQueue<Lock>(plan, hold));
}

}  // namespace warren::ipc

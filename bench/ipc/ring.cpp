#include "bench/ipc/ring.h"

#include <sys/eventfd.h>

#include <atomic>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "bench/ipc/processes.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"
#include "lwlock/futex.h"

namespace warren::ipc {
namespace {

constexpr int64_t kSleepNs = 1'000'000'000;  // then it looks again; nothing depends on it

struct Cell {
  std::atomic<uint32_t> turn;
  uint32_t reserved;
  // The message follows.
  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

// One direction of waiting: the consumer's for messages, or the producer's for room.
struct alignas(kCacheLineBytes) Sleeper {
  std::atomic<uint32_t> sleeps;
};

struct alignas(kCacheLineBytes) Taken {
  std::atomic<uint32_t> count;
};

struct RingHead {
  Taken taken;
  Sleeper consumer;
  Sleeper producer;
};

class Ring {
 public:
  Ring(const ChannelPlan& plan, RingWait wait)
      : wait_(wait),
        message_bytes_(plan.message_bytes),
        places_(static_cast<uint32_t>(plan.places)),
        stride_(SharedMemory::Rounded(sizeof(Cell) + plan.message_bytes)),
        memory_(sizeof(RingHead) + kCacheLineBytes + plan.places * stride_),
        head_(memory_.Allocate<RingHead>()),
        cells_(memory_.AllocateBytes(plan.places * stride_)),
        message_event_(wait == RingWait::kEventfd ? eventfd(0, 0) : -1),
        room_event_(wait == RingWait::kEventfd ? eventfd(0, 0) : -1) {
    CHECK(std::has_single_bit(places_), "{} cells", places_);
  }

  size_t message_bytes() const { return message_bytes_; }

  // -- The producer

  // The cell for the next message, once it is free.
  std::byte* AwaitRoom() {
    if (sent_ - taken_seen_ == places_) {
      const uint32_t full = sent_ - places_;
      Await(head_->taken.count, head_->producer, room_event_, [&](uint32_t now) {
        taken_seen_ = now;
        return now != full;
      });
    }
    return CellOf(sent_).bytes();
  }
  void Publish() {
    Cell& cell = CellOf(sent_++);
    cell.turn.store(sent_, std::memory_order_release);
    WakeIfAsleep(cell.turn, head_->consumer, message_event_);
  }

  // -- The consumer

  std::byte* AwaitMessage() {
    Cell& cell = CellOf(taken_);
    Await(cell.turn, head_->consumer, message_event_,
          [this](uint32_t turn) { return turn == taken_ + 1; });
    return cell.bytes();
  }
  void GiveBack() {
    head_->taken.count.store(++taken_, std::memory_order_release);
    WakeIfAsleep(head_->taken.count, head_->producer, room_event_);
  }

 private:
  Cell& CellOf(uint32_t number) {
    return *reinterpret_cast<Cell*>(cells_ + (number & (places_ - 1)) * stride_);
  }

  template <typename Done>
  void Await(std::atomic<uint32_t>& word, Sleeper& self, const UniqueFd& event, Done done) {
    if (wait_ == RingWait::kSpin) {
      Spinner spinner;
      while (!done(word.load(std::memory_order_acquire))) spinner.Pause();
      return;
    }
    uint32_t seen = word.load(std::memory_order_acquire);
    if (done(seen)) return;
    while (true) {
      self.sleeps.store(1);
      seen = word.load();  // after `sleeps`: partner of the fence in WakeIfAsleep
      if (done(seen)) break;
      Sleep(word, seen, event);
    }
    self.sleeps.store(0, std::memory_order_relaxed);
  }

  void Sleep(const std::atomic<uint32_t>& word, uint32_t seen, const UniqueFd& event) const {
    if (wait_ == RingWait::kFutex) {
      FutexWait(FutexWord(word), seen, MonotonicNs() + kSleepNs);
      return;
    }
    uint64_t count = 0;
    if (read(event.get(), &count, sizeof count) < 0 && errno != EINTR) {
      Fail("eventfd: {}", std::strerror(errno));
    }
  }

  void WakeIfAsleep(const std::atomic<uint32_t>& word, Sleeper& other, const UniqueFd& event) {
    if (wait_ == RingWait::kSpin) return;
    // Between the store to `word` and the look: partner of the load in Await.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (other.sleeps.load(std::memory_order_relaxed) == 0) return;
    if (wait_ == RingWait::kFutex) {
      FutexWake(FutexWord(word), 1);
      return;
    }
    const uint64_t one = 1;
    if (write(event.get(), &one, sizeof one) < 0) Fail("eventfd: {}", std::strerror(errno));
  }

  const RingWait wait_;
  const size_t message_bytes_;
  const uint32_t places_;  // a power of two, so that the numbers may wrap
  const size_t stride_;
  SharedMemory memory_;
  RingHead* head_;
  std::byte* cells_;
  UniqueFd message_event_;
  UniqueFd room_event_;

  // Of each process its own.
  uint32_t sent_ = 0;
  uint32_t taken_seen_ = 0;
  uint32_t taken_ = 0;
};

class CopyingRing : public CopyingChannel {
 public:
  CopyingRing(const ChannelPlan& plan, RingWait wait)
      : CopyingChannel(plan.message_bytes), ring_(plan, wait) {}
  void Send() override {
    std::memcpy(ring_.AwaitRoom(), made().data(), made().size());
    ring_.Publish();
  }
  std::span<const std::byte> Receive() override {
    std::memcpy(received().data(), ring_.AwaitMessage(), received().size());
    ring_.GiveBack();
    return received();
  }

 private:
  Ring ring_;
};

class ReferenceRing : public Channel {
 public:
  ReferenceRing(const ChannelPlan& plan, RingWait wait) : ring_(plan, wait) {}
  std::byte* Prepare() override { return ring_.AwaitRoom(); }
  void Send() override { ring_.Publish(); }
  std::span<const std::byte> Receive() override {
    return {ring_.AwaitMessage(), ring_.message_bytes()};
  }
  void Release() override { ring_.GiveBack(); }

 private:
  Ring ring_;
};

#if defined(__x86_64__)
constexpr bool kCanFlush = true;
void FlushLines(const std::byte* at, size_t bytes) {
  for (size_t i = 0; i < bytes; i += kCacheLineBytes) __builtin_ia32_clflush(at + i);
  __builtin_ia32_mfence();
}
#else
constexpr bool kCanFlush = false;
void FlushLines(const std::byte*, size_t) {}
#endif

// The turn stands in a line of its own here, before the message's lines, and is not flushed: it is
// looked at again and again.
class UncachedRing : public Channel {
 public:
  explicit UncachedRing(const ChannelPlan& plan)
      : bytes_(plan.message_bytes), ring_(Padded(plan), RingWait::kSpin) {}
  std::byte* Prepare() override { return at_ = ring_.AwaitRoom() + kPad; }
  void Send() override {
    FlushLines(at_, bytes_);
    ring_.Publish();
  }
  std::span<const std::byte> Receive() override {
    return {at_ = ring_.AwaitMessage() + kPad, bytes_};
  }
  void Release() override {
    FlushLines(at_, bytes_);
    ring_.GiveBack();
  }

 private:
  static constexpr size_t kPad = kCacheLineBytes - sizeof(Cell);
  static ChannelPlan Padded(ChannelPlan plan) {
    plan.message_bytes += kPad;
    return plan;
  }
  size_t bytes_;
  Ring ring_;
  std::byte* at_ = nullptr;
};

Status CheckEventfd(RingWait wait) {
  if (wait != RingWait::kEventfd) return {};
  const UniqueFd probe(eventfd(0, 0));
  if (probe.valid()) return {};
  return MakeError(ErrorCode::kGeneric, "eventfd: {}", std::strerror(errno));
}

}  // namespace

MadeChannel MakeCopyingRing(const ChannelPlan& plan, RingWait wait) {
  RETURN_IF_ERROR(CheckEventfd(wait));
  return std::unique_ptr<Channel>(new CopyingRing(plan, wait));
}

MadeChannel MakeReferenceRing(const ChannelPlan& plan, RingWait wait) {
  RETURN_IF_ERROR(CheckEventfd(wait));
  return std::unique_ptr<Channel>(new ReferenceRing(plan, wait));
}

MadeChannel MakeUncachedRing(const ChannelPlan& plan) {
  if (!kCanFlush) {
    return MakeError(ErrorCode::kGeneric,
                     "this processor has no instruction to empty a cache line");
  }
  return std::unique_ptr<Channel>(new UncachedRing(plan));
}

}  // namespace warren::ipc

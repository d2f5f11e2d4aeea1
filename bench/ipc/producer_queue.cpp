#include "bench/ipc/producer_queue.h"

#include <atomic>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {
namespace {

// turn == number: free for that message; number + 1: it is there. Then number + places: free for
// the next round.
struct Cell {
  std::atomic<uint32_t> turn;
  uint32_t reserved;
  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

struct alignas(kCacheLineBytes) Claims {
  std::atomic<uint32_t> next;
};

class ProducerQueue : public CopyingChannel {
 public:
  explicit ProducerQueue(const ChannelPlan& plan)
      : CopyingChannel(plan.message_bytes),
        places_(static_cast<uint32_t>(plan.places)),
        stride_(SharedMemory::Rounded(sizeof(Cell) + plan.message_bytes)),
        memory_(sizeof(Claims) + plan.places * stride_),
        claims_(memory_.Allocate<Claims>()),
        cells_(memory_.AllocateBytes(plan.places * stride_)) {
    CHECK(std::has_single_bit(places_), "{} cells", places_);
    for (uint32_t i = 0; i < places_; ++i) CellOf(i).turn.store(i);
  }

  void Send() override {
    const uint32_t number = Claim();
    Cell& cell = CellOf(number);
    std::memcpy(cell.bytes(), made().data(), made().size());
    cell.turn.store(number + 1, std::memory_order_release);
  }

  std::span<const std::byte> Receive() override {
    Cell& cell = CellOf(taken_);
    Spinner spinner;
    while (cell.turn.load(std::memory_order_acquire) != taken_ + 1) spinner.Pause();
    std::memcpy(received().data(), cell.bytes(), received().size());
    cell.turn.store(taken_ + places_, std::memory_order_release);
    ++taken_;
    return received();
  }

 private:
  Cell& CellOf(uint32_t number) {
    return *reinterpret_cast<Cell*>(cells_ + (number & (places_ - 1)) * stride_);
  }

  uint32_t Claim() {
    Spinner spinner;
    uint32_t number = claims_->next.load(std::memory_order_relaxed);
    while (true) {
      const uint32_t turn = CellOf(number).turn.load(std::memory_order_acquire);
      if (turn == number) {
        if (claims_->next.compare_exchange_weak(number, number + 1, std::memory_order_relaxed)) {
          return number;
        }
      } else {
        spinner.Pause();  // full, or somebody else was faster
        number = claims_->next.load(std::memory_order_relaxed);
      }
    }
  }

  const uint32_t places_;
  const size_t stride_;
  SharedMemory memory_;
  Claims* claims_;
  std::byte* cells_;
  uint32_t taken_ = 0;  // the consumer's
};

}  // namespace

MadeChannel MakeProducerQueue(const ChannelPlan& plan) {
  return std::unique_ptr<Channel>(new ProducerQueue(plan));
}

}  // namespace warren::ipc

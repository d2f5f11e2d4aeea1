// Does every mechanism bring every message, whole and once, and does the run fail if one does not?
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "base/clock.h"
#include "bench/ipc/descriptor_channels.h"
#include "bench/ipc/locked_queue.h"
#include "bench/ipc/posix_queue.h"
#include "bench/ipc/producer_queue.h"
#include "bench/ipc/ring.h"
#include "bench/ipc/transfer.h"

using namespace warren;
using namespace warren::ipc;

namespace {

struct Mechanism {
  const char* name;
  std::function<MadeChannel(const ChannelPlan&)> make;
  bool many_senders = false;
};

template <RingWait kWait>
MadeChannel Copying(const ChannelPlan& plan) {
  return MakeCopyingRing(plan, kWait);
}
template <RingWait kWait>
MadeChannel Reference(const ChannelPlan& plan) {
  return MakeReferenceRing(plan, kWait);
}
template <typename Lock, Hold kHold>
MadeChannel Locked(const ChannelPlan& plan) {
  return MakeLockedQueue<Lock>(plan, kHold);
}

const std::array<Mechanism, 23> kMechanisms = {{
    {"copying ring, spinning", Copying<RingWait::kSpin>},
    {"copying ring, futex", Copying<RingWait::kFutex>},
    {"copying ring, eventfd", Copying<RingWait::kEventfd>},
    {"reference ring, spinning", Reference<RingWait::kSpin>},
    {"reference ring, futex", Reference<RingWait::kFutex>},
    {"reference ring, eventfd", Reference<RingWait::kEventfd>},
    {"uncached ring", MakeUncachedRing},
    {"pipe", MakePipe},
    {"spliced pipe", MakeSplicedPipe},
    {"unix stream", MakeUnixStream},
    {"tcp", MakeTcp},
    {"pool", MakePool},
    {"spinlock, count", Locked<SpinLock, Hold::kCount>},
    {"mutex, count", Locked<PthreadMutex<false>, Hold::kCount>},
    {"robust mutex, count", Locked<PthreadMutex<true>, Hold::kCount>},
    {"lwlock, count", Locked<WarrenLWLock, Hold::kCount>},
    {"spinlock, copy", Locked<SpinLock, Hold::kCopy>, true},
    {"mutex, copy", Locked<PthreadMutex<false>, Hold::kCopy>, true},
    {"robust mutex, copy", Locked<PthreadMutex<true>, Hold::kCopy>, true},
    {"lwlock, copy", Locked<WarrenLWLock, Hold::kCopy>, true},
    {"producer queue", MakeProducerQueue, true},
    {"unix datagram", MakeUnixDatagram, true},
    {"posix queue", MakePosixQueue, true},
}};

// Of a mechanism that is to be had here; null, and said so, if it is not.
std::unique_ptr<Channel> Make(const Mechanism& mechanism, const ChannelPlan& plan) {
  MadeChannel made = mechanism.make(plan);
  if (made.ok()) return std::move(made).value();
  MESSAGE(std::string(mechanism.name), " is not available: ", made.error().message);
  return nullptr;
}

struct Trouble {
  enum Kind { kNone, kDamage, kLoss, kDouble, kKillSender, kKillReceiver };
  Kind kind = kNone;
  uint64_t at = 0;  // the message that it befalls
};

// Another channel, with something done to one message.
class TroubledChannel : public Channel {
 public:
  TroubledChannel(Channel& inner, Trouble trouble, size_t bytes)
      : inner_(inner), trouble_(trouble), bytes_(bytes) {}
  void Join(int member) override { inner_.Join(member); }
  std::byte* Prepare() override { return at_ = inner_.Prepare(); }
  void Send() override {
    const bool now = sent_++ == trouble_.at;
    if (now && trouble_.kind == Trouble::kLoss) return;
    if (now && trouble_.kind == Trouble::kKillSender) kill(getpid(), SIGKILL);
    if (now && trouble_.kind == Trouble::kDamage) at_[bytes_ - 1] ^= std::byte{0x10};
    if (now && trouble_.kind == Trouble::kDouble) {
      const std::vector<std::byte> copy(at_, at_ + bytes_);
      inner_.Send();
      std::copy(copy.begin(), copy.end(), inner_.Prepare());
    }
    inner_.Send();
  }
  std::span<const std::byte> Receive() override {
    if (received_++ == trouble_.at && trouble_.kind == Trouble::kKillReceiver) {
      kill(getpid(), SIGKILL);
    }
    return inner_.Receive();
  }
  void Release() override { inner_.Release(); }

 private:
  Channel& inner_;
  Trouble trouble_;
  size_t bytes_;
  std::byte* at_ = nullptr;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
};

constexpr uint32_t kMessages = 1000;

// What the run says of trouble at message 300; empty if it did not notice.
std::string ErrorOf(Channel& channel, Trouble::Kind kind, size_t bytes) {
  TroubledChannel troubled(channel, {.kind = kind, .at = 300}, bytes);
  const auto done =
      MeasureTransfer(troubled, {.message_bytes = bytes, .senders = 1, .messages = kMessages});
  return done.ok() ? "" : done.error().message;
}

}  // namespace

TEST_CASE("every mechanism brings every message whole, through few places, spinning and asleep") {
  for (const Mechanism& mechanism : kMechanisms) {
    for (const Waiting waiting : {Waiting::kBlock, Waiting::kSpin}) {
      for (const size_t bytes : {size_t{56}, size_t{4096}}) {
        CAPTURE(std::string(mechanism.name));
        CAPTURE(bytes);
        const auto channel =
            Make(mechanism, {.message_bytes = bytes, .places = 4, .waiting = waiting});
        if (channel == nullptr) continue;
        const auto done = MeasureTransfer(
            *channel, {.message_bytes = bytes, .senders = 1, .messages = kMessages});
        CHECK_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
        if (done.ok()) CHECK(done->messages_per_second > 0);
      }
    }
  }
}

TEST_CASE("messages larger than any buffer of the kernel come through whole") {
  for (const Mechanism& mechanism : kMechanisms) {
    CAPTURE(std::string(mechanism.name));
    const size_t bytes = 3 << 20;
    if (std::string_view(mechanism.name) == "unix datagram") continue;  // they have a largest size
    const auto channel = Make(mechanism, {.message_bytes = bytes, .places = 2});
    if (channel == nullptr) continue;
    const auto done =
        MeasureTransfer(*channel, {.message_bytes = bytes, .senders = 1, .messages = 20});
    CHECK_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  }
}

TEST_CASE("several producers lose nothing and keep each its order") {
  for (const Mechanism& mechanism : kMechanisms) {
    if (!mechanism.many_senders) continue;
    CAPTURE(std::string(mechanism.name));
    const auto channel = Make(mechanism, {.message_bytes = 256, .places = 8});
    if (channel == nullptr) continue;
    const auto done =
        MeasureTransfer(*channel, {.message_bytes = 256, .senders = 5, .messages = kMessages});
    CHECK_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  }
}

TEST_CASE("a damaged, lost or doubled message fails the run, whatever carried it") {
  constexpr size_t kBytes = 256;
  for (const Mechanism& mechanism : kMechanisms) {
    CAPTURE(std::string(mechanism.name));
    const auto made = [&] { return Make(mechanism, {.message_bytes = kBytes, .places = 4}); };
    if (made() == nullptr) continue;
    CHECK(ErrorOf(*made(), Trouble::kDamage, kBytes) == "message 300 of sender 0 is damaged");
    CHECK(ErrorOf(*made(), Trouble::kDouble, kBytes) ==
          "message 300 of sender 0 came where 301 was due");
    CHECK(ErrorOf(*made(), Trouble::kLoss, kBytes) ==
          "message 301 of sender 0 came where 300 was due");
  }
}

TEST_CASE("no mechanism hangs when the sender or the receiver is killed") {
  for (const Mechanism& mechanism : kMechanisms) {
    CAPTURE(std::string(mechanism.name));
    const auto made = [&] { return Make(mechanism, {.message_bytes = 256, .places = 4}); };
    if (made() == nullptr) continue;
    const int64_t begin_ns = MonotonicNs();
    CHECK(ErrorOf(*made(), Trouble::kKillSender, 256) == "process 1 of 2 was ended by signal 9");
    // The sender may see the broken connection first.
    const std::string receiver = ErrorOf(*made(), Trouble::kKillReceiver, 256);
    CHECK_MESSAGE(receiver == "process 0 of 2 was ended by signal 9", receiver);
    CHECK(MonotonicNs() - begin_ns < 20'000'000'000);
  }
}

TEST_CASE("a kernel queue that is too small for the messages is not available, and says why") {
  const MadeChannel made = MakePosixQueue({.message_bytes = 1 << 30, .places = 4});
  REQUIRE_FALSE(made.ok());
  CHECK(made.error().message.find("limit") != std::string::npos);
}

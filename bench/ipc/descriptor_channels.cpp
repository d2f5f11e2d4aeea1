#include "bench/ipc/descriptor_channels.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "bench/ipc/processes.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/stream_io.h"

namespace warren::ipc {
namespace {

// Pipes, stream sockets, and datagrams of which each fits into one write.
class StreamChannel : public CopyingChannel {
 public:
  StreamChannel(size_t message_bytes, Ends ends)
      : CopyingChannel(message_bytes), ends_(std::move(ends)) {}
  void Send() override { WriteAll(ends_[1].get(), made()); }
  std::span<const std::byte> Receive() override {
    ReadAll(ends_[0].get(), received());
    return received();
  }

 private:
  Ends ends_;
};

class DatagramChannel : public CopyingChannel {
 public:
  DatagramChannel(size_t message_bytes, Ends ends)
      : CopyingChannel(message_bytes), ends_(std::move(ends)) {}
  void Send() override {
    while (send(ends_[1].get(), made().data(), made().size(), 0) < 0) TryAgain("send");
  }
  std::span<const std::byte> Receive() override {
    ssize_t got = -1;
    // MSG_TRUNC: its true length, so that a longer one is not taken for whole.
    while ((got = recv(ends_[0].get(), received().data(), received().size(), MSG_TRUNC)) < 0) {
      TryAgain("recv");
    }
    return received().first(std::min(static_cast<size_t>(got), received().size()));
  }

 private:
  Ends ends_;
};

class SplicedPipe : public CopyingChannel {
 public:
  // The pipe may still have a page in each of its places. So many messages are made elsewhere
  // before one is made in the same pages again.
  SplicedPipe(size_t message_bytes, Ends ends, size_t pipe_bytes)
      : CopyingChannel(message_bytes),
        ends_(std::move(ends)),
        stride_((message_bytes + kPage - 1) / kPage * kPage),
        buffers_(pipe_bytes / stride_ + 2),
        memory_(buffers_ * stride_),
        base_(memory_.AllocateBytes(buffers_ * stride_)) {}
  std::byte* Prepare() override { return base_ + next_ * stride_; }
  void Send() override {
    iovec part = {.iov_base = base_ + next_ * stride_, .iov_len = made().size()};
    while (part.iov_len > 0) {
      const ssize_t lent = vmsplice(ends_[1].get(), &part, 1, 0);
      if (lent >= 0) {
        part.iov_base = static_cast<std::byte*>(part.iov_base) + lent;
        part.iov_len -= static_cast<size_t>(lent);
      } else {
        TryAgain("vmsplice");
      }
    }
    next_ = (next_ + 1) % buffers_;
  }
  std::span<const std::byte> Receive() override {
    ReadAll(ends_[0].get(), received());
    return received();
  }

 private:
  static constexpr size_t kPage = 4096;
  Ends ends_;
  size_t stride_;
  size_t buffers_;
  SharedMemory memory_;
  std::byte* base_;
  size_t next_ = 0;
};

class PoolChannel : public Channel {
 public:
  PoolChannel(const ChannelPlan& plan, Ends ends)
      : bytes_(plan.message_bytes),
        stride_(SharedMemory::Rounded(plan.message_bytes)),
        memory_(plan.places * stride_),
        frames_(memory_.AllocateBytes(plan.places * stride_)),
        ends_(std::move(ends)) {
    for (uint64_t frame = 0; frame < plan.places; ++frame) free_.push_back(frame);
  }
  std::byte* Prepare() override {
    if (free_.empty()) TakeBack();
    frame_ = free_.back();
    free_.pop_back();
    return frames_ + frame_ * stride_;
  }
  void Send() override { WriteAll(ends_[1].get(), std::as_bytes(std::span(&frame_, 1))); }
  std::span<const std::byte> Receive() override {
    ReadAll(ends_[0].get(), std::as_writable_bytes(std::span(&frame_, 1)));
    return {frames_ + frame_ * stride_, bytes_};
  }
  void Release() override { WriteAll(ends_[0].get(), std::as_bytes(std::span(&frame_, 1))); }

 private:
  // As many as have been given back, at least one.
  void TakeBack() {
    std::array<uint64_t, 64> numbers;
    ssize_t got = -1;
    while ((got = read(ends_[1].get(), numbers.data(), sizeof numbers)) < 0) TryAgain("read");
    const auto bytes = static_cast<size_t>(got);
    if (bytes == 0 || bytes % sizeof(uint64_t) != 0) Fail("pool: {} bytes given back", bytes);
    free_.assign(numbers.begin(), numbers.begin() + bytes / sizeof(uint64_t));
  }

  size_t bytes_;
  size_t stride_;
  SharedMemory memory_;
  std::byte* frames_;
  Ends ends_;
  std::vector<uint64_t> free_;  // the sender's
  uint64_t frame_ = 0;
};

template <typename T>
MadeChannel MakeOf(const ChannelPlan& plan, Result<Ends> ends) {
  if (!ends.ok()) return ends.error();
  for (const UniqueFd& end : *ends) RETURN_IF_ERROR(SetWaiting(end.get(), plan.waiting));
  return std::unique_ptr<Channel>(new T(plan.message_bytes, std::move(ends).value()));
}

}  // namespace

MadeChannel MakePipe(const ChannelPlan& plan) { return MakeOf<StreamChannel>(plan, OpenPipe()); }

MadeChannel MakeSplicedPipe(const ChannelPlan& plan) {
  ASSIGN_OR_RETURN(Ends ends, OpenPipe());
  for (const UniqueFd& end : ends) RETURN_IF_ERROR(SetWaiting(end.get(), plan.waiting));
  const int pipe_bytes = fcntl(ends[1].get(), F_GETPIPE_SZ);
  if (pipe_bytes <= 0) {
    return MakeError(ErrorCode::kGeneric, "F_GETPIPE_SZ: {}", std::strerror(errno));
  }
  return std::unique_ptr<Channel>(
      new SplicedPipe(plan.message_bytes, std::move(ends), static_cast<size_t>(pipe_bytes)));
}

MadeChannel MakeUnixStream(const ChannelPlan& plan) {
  return MakeOf<StreamChannel>(plan, OpenUnixPair(SOCK_STREAM));
}

MadeChannel MakeUnixDatagram(const ChannelPlan& plan) {
  return MakeOf<DatagramChannel>(plan, OpenUnixPair(SOCK_DGRAM));
}

MadeChannel MakeTcp(const ChannelPlan& plan) { return MakeOf<StreamChannel>(plan, OpenTcpPair()); }

MadeChannel MakePool(const ChannelPlan& plan) {
  ASSIGN_OR_RETURN(Ends ends, OpenUnixPair(SOCK_STREAM));
  return std::unique_ptr<Channel>(new PoolChannel(plan, std::move(ends)));
}

}  // namespace warren::ipc

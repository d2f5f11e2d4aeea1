#include "bench/ipc/posix_queue.h"

#include <fcntl.h>
#include <mqueue.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "bench/ipc/stream_io.h"

namespace warren::ipc {
namespace {

class PosixQueue : public CopyingChannel {
 public:
  PosixQueue(size_t message_bytes, mqd_t queue) : CopyingChannel(message_bytes), queue_(queue) {}
  ~PosixQueue() override { mq_close(queue_); }
  PosixQueue(const PosixQueue&) = delete;
  PosixQueue& operator=(const PosixQueue&) = delete;

  void Send() override {
    while (mq_send(queue_, Chars(made().data()), made().size(), 0) != 0) TryAgain("mq_send");
  }
  std::span<const std::byte> Receive() override {
    ssize_t got = -1;
    char* at = reinterpret_cast<char*>(received().data());
    while ((got = mq_receive(queue_, at, received().size(), nullptr)) < 0) TryAgain("mq_receive");
    return received().first(static_cast<size_t>(got));
  }

 private:
  static const char* Chars(const std::byte* at) { return reinterpret_cast<const char*>(at); }
  mqd_t queue_;
};

// A limit from /proc, or what every kernel grants.
long Limit(const char* name, long otherwise) {
  long value = otherwise;
  std::ifstream(std::string("/proc/sys/fs/mqueue/") + name) >> value;
  return value > 0 ? value : otherwise;
}

}  // namespace

MadeChannel MakePosixQueue(const ChannelPlan& plan) {
  if (static_cast<long>(plan.message_bytes) > Limit("msgsize_max", 8192)) {
    return MakeError(ErrorCode::kGeneric, "the system's limit is {} bytes a message",
                     Limit("msgsize_max", 8192));
  }
  mq_attr attributes = {};
  attributes.mq_maxmsg = std::min(static_cast<long>(plan.places), Limit("msg_max", 10));
  attributes.mq_msgsize = static_cast<long>(plan.message_bytes);
  const std::string name = fmt::format("/warren-ipc-lab-{}", getpid());
  const int spin = plan.waiting == Waiting::kSpin ? O_NONBLOCK : 0;
  const mqd_t queue =
      mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | spin, S_IRUSR | S_IWUSR, &attributes);
  if (queue == static_cast<mqd_t>(-1)) {
    return MakeError(ErrorCode::kGeneric, "mq_open: {}", std::strerror(errno));
  }
  mq_unlink(name.c_str());
  return std::unique_ptr<Channel>(new PosixQueue(plan.message_bytes, queue));
}

}  // namespace warren::ipc

// How does a message get from one process to another, whatever the mechanism?
//
// All mechanisms have this one interface, made so that each can do what it is good at: a message is
// made where the channel says and looked at where the channel shows it, which is the shared memory
// itself where nothing needs to be copied, and a buffer of the process's own elsewhere.
//
// Lifetime: made before the processes fork, which inherit it. Calls that wait do so without a time
// limit: RunTeam (processes.h) ends a team whose member died.
// Limits: messages of one channel all have the size it was made for. A system call that fails ends
// the calling member (Fail).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace warren::ipc {

enum class Waiting {
  kSpin,   // look again and again: quick, and a processor is lost to it
  kBlock,  // sleep in the kernel
};

struct ChannelPlan {
  size_t message_bytes = 0;
  size_t places = 64;  // messages under way, where the mechanism lets one choose
  Waiting waiting = Waiting::kBlock;
};

class Channel {
 public:
  virtual ~Channel() = default;

  // By each process once, before anything else, with its number in the team.
  virtual void Join(int /*member*/) {}

  // Where the sender is to make its next message. May wait for room.
  virtual std::byte* Prepare() = 0;
  // Sends what was made there. May wait for room.
  virtual void Send() = 0;

  // The next message; waits for it. Valid until Release(), which must follow.
  virtual std::span<const std::byte> Receive() = 0;
  virtual void Release() {}
};

// Or why the mechanism is not to be had here.
using MadeChannel = Result<std::unique_ptr<Channel>>;

// What copying channels have in common: buffers of the process's own.
class CopyingChannel : public Channel {
 public:
  explicit CopyingChannel(size_t message_bytes) : made_(message_bytes), received_(message_bytes) {}
  std::byte* Prepare() override { return made_.data(); }

 protected:
  std::span<const std::byte> made() const { return made_; }
  std::span<std::byte> received() { return received_; }

 private:
  std::vector<std::byte> made_;      // in the sender
  std::vector<std::byte> received_;  // in the receiver
};

}  // namespace warren::ipc

// What is in a message, and how is it known that it came through whole?
//
// A message names its sender and its number in the first 8 bytes, and every further word is made
// from those: no byte can be wrong, left over from another message, or torn between two, without
// CheckMessage seeing it. Numbers of one sender come in order without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace warren::ipc {

struct MessageName {
  uint32_t sender = 0;
  uint32_t number = 0;
  friend bool operator==(const MessageName&, const MessageName&) = default;
};

// `bytes` is a multiple of 8, at least 8; `at` need not be aligned.
void FillMessage(std::byte* at, size_t bytes, MessageName name);

// What the message says of itself.
MessageName NameOf(std::span<const std::byte> message);

// Is every byte what its first 8 demand?
bool CheckMessage(std::span<const std::byte> message);

// The receiver's account of what must come next from each sender.
class MessageAccount {
 public:
  MessageAccount(int senders, size_t bytes)
      : next_(static_cast<size_t>(senders), 0), bytes_(bytes) {}

  // Empty, or what is wrong with the message: its size, its bytes, its turn.
  std::string Take(std::span<const std::byte> message);

 private:
  std::vector<uint32_t> next_;  // by sender
  size_t bytes_;
};

}  // namespace warren::ipc

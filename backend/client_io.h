// How do bytes come from the client and go to it?
//
// A batch of requests costs one receive and one send. Sending never waits by itself: what the
// kernel does not take stays in the buffer, and WaitToSend waits for the client with its requests
// still being taken in, so that a client that sends everything before it reads anything is served
// too (until its replies exceed client_output_limit).
//
// Waits end at once when this process is woken (Latch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "backend/wait_policy.h"

namespace warren {

enum class IoEvent : uint8_t {
  kReady,        // bytes came, or some could be sent
  kEnd,          // the client sends nothing more
  kBroken,       // the connection is gone
  kTimeout,      // nothing happened for the time allowed
  kInterrupted,  // Latch::Pending()
};

class ClientIo {
 public:
  // Also switches off delays in the kernel and sets keep-alive probes as the settings say.
  explicit ClientIo(int fd);

  // Receives into `space`, waiting as long as client_idle_timeout allows.
  IoEvent Receive(std::span<char> space, size_t* received);

  // Sends what the kernel takes of `out`, and empties it once all is sent. False: connection gone.
  bool Send(std::string* out);
  // The same of its first `end` bytes, which stay in `out`. What can't be sent now is sent later.
  void SendFront(const std::string& out, size_t end);
  size_t Unsent(const std::string& out) const { return out.size() - sent_; }
  // How much of the front of `out` is sent already.
  size_t sent() const { return sent_; }

  // Waits up to `timeout_ms` (-1: for ever) until the socket can be read (if `input`) or written
  // (if `output`).
  IoEvent Wait(bool input, bool output, int64_t timeout_ms);
  // What is there, without waiting. kTimeout: nothing.
  IoEvent ReceiveNow(std::span<char> space, size_t* received);

  // Tells the client that nothing more will come, then waits a moment for it to close: closing with
  // unread bytes in the socket would throw away replies that are still under way.
  void CloseGently();

 private:
  IoEvent Outcome(ssize_t n, size_t* received);
  void ApplyIdleTimeout();

  int fd_;
  size_t sent_ = 0;
  int64_t receive_timeout_ms_ = 0;  // as the kernel has it
  ClientWait wait_;
};

// "127.0.0.1:50123", "[::1]:50123" or "/path/to/socket:0" of the socket's two ends.
struct SocketAddresses {
  std::string remote, local;
  bool unix_socket = false;
};
SocketAddresses AddressesOf(int fd);

}  // namespace warren

// How do new clients get in?
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "postmaster/listener.h"

namespace asio {
class io_context;
}

namespace warren {

// Waits on listening sockets and hands over each accepted connection (blocking, close-on-exec).
class Acceptor {
 public:
  using OnConnection = std::function<void(UniqueFd socket, const Listener& listener)>;

  Acceptor(asio::io_context& context, std::vector<Listener> listeners, OnConnection on_connection);
  ~Acceptor();

  void Start();
  // Who connects from now on waits in the kernel's queue until Start is called again.
  void Suspend();
  // Closes the listening sockets: who connects now is refused by the kernel. Socket files vanish.
  void Stop();

  std::vector<std::string> Names() const;

 private:
  struct Gate;

  void Wait(Gate& gate);
  void AcceptWaiting(Gate& gate);
  void Pause(Gate& gate);

  asio::io_context& context_;
  std::vector<std::unique_ptr<Gate>> gates_;
  OnConnection on_connection_;
  bool suspended_ = false;
};

}  // namespace warren

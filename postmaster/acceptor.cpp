#include "postmaster/acceptor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace warren {
namespace {

// At most so many per wake-up, so that deaths, signals and the other listeners get their turn.
constexpr int kAcceptsPerTurn = 32;
constexpr std::chrono::milliseconds kPauseAfterFailure{100};

}  // namespace

struct Acceptor::Gate {
  Gate(asio::io_context& context, Listener from)
      : listener(std::move(from)), descriptor(context, listener.fd.get()), pause(context) {}
  ~Gate() { descriptor.release(); }  // the listener closes it

  Listener listener;
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer pause;
};

Acceptor::Acceptor(asio::io_context& context, std::vector<Listener> listeners,
                   OnConnection on_connection)
    : context_(context), on_connection_(std::move(on_connection)) {
  for (Listener& listener : listeners) {
    gates_.push_back(std::make_unique<Gate>(context_, std::move(listener)));
  }
}

Acceptor::~Acceptor() { Stop(); }

void Acceptor::Start() {
  suspended_ = false;
  for (const auto& gate : gates_) Wait(*gate);
}

void Acceptor::Suspend() {
  suspended_ = true;
  for (const auto& gate : gates_) {
    gate->descriptor.cancel();
    gate->pause.cancel();
  }
}

void Acceptor::Stop() {
  for (const auto& gate : gates_) {
    if (!gate->listener.unix_socket_path.empty()) unlink(gate->listener.unix_socket_path.c_str());
  }
  gates_.clear();
}

std::vector<std::string> Acceptor::Names() const {
  std::vector<std::string> names;
  for (const auto& gate : gates_) names.push_back(gate->listener.name);
  return names;
}

void Acceptor::Wait(Gate& gate) {
  gate.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                             [this, &gate](const std::error_code& error) {
                               if (!error) AcceptWaiting(gate);  // else: stopped, `gate` is gone
                             });
}

void Acceptor::AcceptWaiting(Gate& gate) {
  if (suspended_) return;  // it was in the event loop's queue when Suspend was called
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd socket(accept4(gate.listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.valid()) {
      on_connection_(std::move(socket), gate.listener);
      if (suspended_) return;
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      return Pause(gate);
    // Others concern the one connection, which is gone (ECONNABORTED and the like).
  }
  Wait(gate);
}

// Out of descriptors or memory: the connection stays in the queue, and trying again at once would
// only burn time.
void Acceptor::Pause(Gate& gate) {
  log::Warning("{}: cannot accept a connection: {}", gate.listener.name, strerror(errno));
  gate.pause.expires_after(kPauseAfterFailure);
  gate.pause.async_wait([this, &gate](const std::error_code& error) {
    if (!error) Wait(gate);
  });
}

}  // namespace warren

// How fast could a server be that does nothing but receive, count commands and answer a constant?
//
//   ceiling_server fork PORT    one process per connection, which waits as Warren's backends do
//                               where no other program wants the processors
//                               (backend/wait_policy.h): the most that a process-per-client server
//                               can reach with that way to wait
//   ceiling_server epoll PORT   one process for all, epoll: the same for an event loop
//
// Other ways for the processes to wait, for hundreds of clients (README.md, "Ways to wait"):
//
//   --yields N         so many times before they sleep (1)
//   --slice_ms N       for so long the scheduler leaves one of them the processor (its own choice)
//   --nice N           weight beside the clients (0)
//   --last_processor   all of them on that one: the others are the clients'
//
// Serves 127.0.0.1 until SIGTERM.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "bench/resp_batch.h"

namespace {

using warren::bench::AnswerCompleteCommands;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("bind");
  if (listen(fd, 1024) != 0) Die("listen");
  return fd;
}

int Accept(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return fd;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

struct Connection {
  std::string input;
  std::string output;
};

// One recv; `buffer` has room.
class Blocking {
 public:
  static ssize_t Receive(int fd, std::span<char> buffer) {
    return recv(fd, buffer.data(), buffer.size(), 0);
  }
};

struct WayToWait {
  int yields = 1;
  uint64_t slice_ms = 0;
  int nice = 0;
  bool last_processor = false;
};

// For the calling process and all that it forks.
void Schedule(const WayToWait& way) {
  // As of Linux 3.14; glibc has no declaration of its own yet. The slice is heeded since 6.12.
  struct {
    uint32_t size = 48;
    uint32_t policy = SCHED_BATCH;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime_ns = 0;
    uint64_t deadline_ns = 0;
    uint64_t period_ns = 0;
  } attributes;
  attributes.nice = way.nice;
  attributes.runtime_ns = way.slice_ms * 1'000'000;
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) Die("sched_setattr");
  if (way.last_processor) {
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(static_cast<size_t>(sysconf(_SC_NPROCESSORS_ONLN) - 1), &processors);
    if (sched_setaffinity(0, sizeof(processors), &processors) != 0) Die("sched_setaffinity");
  }
}

// Alone it spins for a while first. With others it yields the processor, unless the client sends
// batches.
class AsABackend {
 public:
  AsABackend(const std::atomic<int>& connections, int yields)
      : connections_(connections), yields_(yields) {}

  ssize_t Receive(int fd, std::span<char> buffer) {
    if (connections_ < processors_) {
      const ssize_t received = Spin(fd, buffer);
      if (received >= 0) return received;
    } else if (!batch_) {
      for (int i = 0; i < yields_; ++i) sched_yield();
    }
    const ssize_t received = Blocking::Receive(fd, buffer);
    batch_ = received > kBatchBytes;
    return received;
  }

 private:
  static constexpr int64_t kSpinNs = 40'000;
  static constexpr ssize_t kBatchBytes = 384;

  static ssize_t Spin(int fd, std::span<char> buffer) {
    const int64_t end = warren::MonotonicNs() + kSpinNs;
    ssize_t received;
    do {
      received = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    } while (received < 0 && errno == EAGAIN && warren::MonotonicNs() < end);
    return received;
  }

  const std::atomic<int>& connections_;
  const int yields_;
  const int processors_ = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  bool batch_ = false;
};

// Receives once, answers what is complete. False when the connection is over.
template <typename Wait>
bool ServeOnce(int fd, Wait& wait, Connection* connection) {
  std::array<char, 64 * 1024> buffer;
  const ssize_t received = wait.Receive(fd, buffer);
  if (received <= 0) return false;
  connection->input.append(buffer.data(), static_cast<size_t>(received));
  connection->output.clear();
  if (!AnswerCompleteCommands(&connection->input, &connection->output)) return false;
  std::string_view rest = connection->output;
  while (!rest.empty()) {
    const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

[[noreturn]] void ServeWithProcesses(int listener, const WayToWait& way) {
  Schedule(way);
  std::signal(SIGCHLD, SIG_IGN);  // nobody waits for the children
  const pid_t parent = getpid();
  void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) Die("mmap");
  auto& connections = *new (shared) std::atomic<int>(0);
  while (true) {
    const int fd = Accept(listener);
    if (fd < 0) continue;
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      close(listener);
      ++connections;
      AsABackend wait(connections, way.yields);
      Connection connection;
      while (ServeOnce(fd, wait, &connection)) {
      }
      --connections;
      _exit(0);
    }
    close(fd);
  }
}

[[noreturn]] void ServeWithEpoll(int listener) {
  std::unordered_map<int, Connection> connections;
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [poll](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
  };
  watch(listener);
  Blocking wait;
  std::array<epoll_event, 1024> events;
  while (true) {
    const int count = epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (size_t i = 0; static_cast<int>(i) < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        if (const int client = Accept(listener); client >= 0) watch(client);
      } else if (!ServeOnce(fd, wait, &connections[fd])) {
        connections.erase(fd);
        close(fd);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string mode;
  uint16_t port = 0;
  WayToWait way;
  CLI::App program("constant answers from a process per connection, or from one for all");
  program.add_option("mode", mode)->required()->check(CLI::IsMember({"fork", "epoll"}));
  program.add_option("port", port)->required();
  program.add_option("--yields", way.yields);
  program.add_option("--slice_ms", way.slice_ms);
  program.add_option("--nice", way.nice);
  program.add_flag("--last_processor", way.last_processor);
  CLI11_PARSE(program, argc, argv);
  const int listener = Listen(port);
  if (mode == "fork") ServeWithProcesses(listener, way);
  ServeWithEpoll(listener);
}

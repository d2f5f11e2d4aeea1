// What does a process that went wild cost, when it held locks?
//
// SIGSEGV, or an abort that it did not declare clean, may have come after any store: all are
// stopped, and the log makes the store anew. No acknowledged write may be lost by that, no client
// be refused.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/crash/torture_client.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWriters = 4;
constexpr int kFirstWriter = 9;  // those from 8 on have a database each

// How many connections were made until `stop`, and how many were refused.
struct Dialled {
  int made = 0, refused = 0;
};

Dialled Dial(int port, const std::atomic<bool>& stop) {
  Dialled dialled;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (!stop) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool made = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ++(made ? dialled.made : dialled.refused);
    close(fd);
    poll(nullptr, 0, 5);
  }
  return dialled;
}

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

std::string ClientId(Connection& connection) {
  return std::to_string(connection("CLIENT", "ID").integer);
}

// The victim dies at the point by SIGSEGV; or it hangs there and is aborted from outside, which it
// can't have declared.
void DieWild(Server& server, const std::string& point, bool by_abort) {
  Connection victim = server.Connect();
  const pid_t backend = Server::BackendOf(victim);
  const std::string id = ClientId(victim);
  Connection other = server.Connect();
  REQUIRE(other("FAULT", "SET", point, by_abort ? "hang" : "segv", "CLIENT", id).ok());
  victim.Append({"SET", "key", "of the victim"});
  auto death = std::async(std::launch::async, [&] { return victim.Receive().closed(); });
  if (by_abort) {
    REQUIRE(WaitUntil([&] {
      return other("CLIENT", "LIST").text.find("wait=fault_point") != std::string::npos;
    }));
    REQUIRE(kill(backend, SIGABRT) == 0);
  }
  CHECK(death.get());
  CHECK(other.ClosedByServer());
}

struct Wild {
  const char* point;
  bool by_abort;
};

}  // namespace

TEST_CASE("after a wild death with locks held every acknowledged write is there, none is refused") {
  Server server({"--fault_points", "yes", "--shared_buffers", "4mb"});
  std::vector<std::unique_ptr<TortureClient>> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.push_back(std::make_unique<TortureClient>(kFirstWriter + i, 1));
  }
  int64_t restarts = 0;
  for (const Wild& wild : {Wild{"log_publish", false}, Wild{"change_apply", false},
                           Wild{"log_publish", true}, Wild{"change_apply", true}}) {
    const std::string point = wild.point;
    INFO(point);
    CHECK(server.Connect()("SET", "key", "before").ok());
    std::atomic<bool> stop = false;
    std::vector<std::future<std::string>> work;
    for (const auto& writer : writers) {
      work.push_back(std::async(std::launch::async, [&] { return writer->Work(server, stop); }));
    }
    auto dialled = std::async(std::launch::async, [&] { return Dial(server.port(), stop); });
    const auto began = Clock::now();
    DieWild(server, point, wild.by_abort);
    const auto died = Clock::now();
    Connection first = server.Connect();
    CHECK(first("SET", "first", "after").ok());
    const std::chrono::duration<double, std::milli> took = Clock::now() - died;
    stop = true;
    for (auto& done : work) CHECK(done.get() == "");
    const Dialled dials = dialled.get();
    CHECK(dials.refused == 0);
    CHECK(dials.made > 0);
    for (const auto& writer : writers) CHECK(writer->Verify(server) == "");
    CHECK(first("GET", "key").text != "");
    CHECK(StatOf(first, "full_restarts") == ++restarts);
    CHECK(first("CHECK").elements.at(1).elements.empty());
    MESSAGE(point, std::string(wild.by_abort ? ", abort" : ", SIGSEGV"), ": first command after ",
            took.count(), " ms (", std::chrono::duration<double, std::milli>(died - began).count(),
            " ms to die); ", dials.made, " connections made meanwhile, none refused");
  }
  CHECK(server.Stop() == 0);
}

}  // namespace warren::test

// How many GETs or SETs does a server take from many clients, and how long does each take?
//
//   kv_load PROTOCOL PORT OPERATION CLIENTS PIPELINE VALUE_BYTES KEYS COUNT [ZIPF]
//
// PROTOCOL is resp or memcached (its text protocol). OPERATION: get and set draw their keys
// uniformly out of KEYS, or with ZIPF (an exponent above 0) so that key number n comes n^-ZIPF
// times as often as the first; `load` sets each key once, COUNT is then ignored. Prints requests
// per second, and the 50th and 99th percentile of the time from sending a batch of PIPELINE
// requests to its last reply, in microseconds.
//
// One thread and one epoll for all clients, each of which waits for the replies to its batch: the
// same for both protocols, so that their servers can be compared. Every reply's length and
// beginning are checked, so a key that is not there or an error fails the run.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::size_t;

[[noreturn]] void Fail(const std::string& why) { throw std::runtime_error(why); }
[[noreturn]] void FailSystem(const char* call) {
  Fail(std::string(call) + ": " + std::strerror(errno));
}

struct Options {
  bool memcached;
  uint16_t port;
  std::string operation;
  size_t clients;
  uint64_t pipeline;
  size_t value_bytes;
  uint64_t keys;
  uint64_t count;
  double zipf;
};

// Keys by number, uniform or by Zipf's law.
class KeyDrawer {
 public:
  KeyDrawer(uint64_t keys, double zipf) : keys_(keys) {
    if (zipf <= 0) return;
    double sum = 0;
    for (uint64_t n = 1; n <= keys; ++n) {
      sum += std::pow(static_cast<double>(n), -zipf);
      cumulative_.push_back(sum);
    }
  }
  uint64_t Draw() {
    if (cumulative_.empty()) return std::uniform_int_distribution<uint64_t>(0, keys_ - 1)(random_);
    const double at = std::uniform_real_distribution<double>(0, cumulative_.back())(random_);
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
    return std::min(static_cast<uint64_t>(found - cumulative_.begin()), keys_ - 1);
  }

 private:
  uint64_t keys_;
  std::vector<double> cumulative_;
  std::mt19937_64 random_{1};
};

constexpr size_t kKeyBytes = 16;

// What is said for one key, and what comes back.
class Dialect {
 public:
  explicit Dialect(const Options& options)
      : memcached_(options.memcached),
        get_(options.operation == "get"),
        value_(options.value_bytes, 'v') {
    const std::string bytes = std::to_string(value_.size());
    if (memcached_) {
      before_ = get_ ? "get " : "set ";
      after_ = get_ ? "\r\n" : " 0 0 " + bytes + "\r\n" + value_ + "\r\n";
      reply_begin_ = get_ ? "VALUE " : "STORED\r\n";
      reply_bytes_ = get_ ? 6 + kKeyBytes + 3 + bytes.size() + 2 + value_.size() + 7 : 8;
    } else {
      before_ = get_ ? "*2\r\n$3\r\nGET\r\n$16\r\n" : "*3\r\n$3\r\nSET\r\n$16\r\n";
      after_ = get_ ? "\r\n" : "\r\n$" + bytes + "\r\n" + value_ + "\r\n";
      reply_begin_ = get_ ? "$" + bytes + "\r\n" : "+OK\r\n";
      reply_bytes_ = get_ ? reply_begin_.size() + value_.size() + 2 : reply_begin_.size();
    }
  }
  void AppendRequest(uint64_t key, std::string* to) const {
    char text[kKeyBytes + 1];
    std::snprintf(text, sizeof text, "key:%012llu", static_cast<unsigned long long>(key));
    *to += before_;
    to->append(text, kKeyBytes);
    *to += after_;
  }
  size_t reply_bytes() const { return reply_bytes_; }
  const std::string& reply_begin() const { return reply_begin_; }

 private:
  bool memcached_;
  bool get_;
  std::string value_;
  std::string before_, after_, reply_begin_;
  size_t reply_bytes_ = 0;
};

struct Client {
  int fd = -1;
  std::string out;
  size_t out_at = 0;
  uint64_t due = 0;     // replies
  size_t reply_at = 0;  // bytes of the reply that is coming in
  bool waits_to_write = false;
  Clock::time_point sent;
};

int Connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    FailSystem("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        dialect_(options),
        drawer_(options.keys, options.zipf),
        total_(options.operation == "load" ? options.keys : options.count),
        epoll_(epoll_create1(0)),
        buffer_(256 * 1024) {}

  void Run() {
    clients_.resize(options_.clients);
    for (Client& client : clients_) {
      client.fd = Connect(options_.port);
      epoll_event event = {.events = EPOLLIN, .data = {.ptr = &client}};
      if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) != 0) FailSystem("epoll_ctl");
    }
    const Clock::time_point begin = Clock::now();
    for (Client& client : clients_) SendBatch(client);
    std::vector<epoll_event> events(clients_.size());
    while (done_ < total_) {
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 30'000);
      if (ready == 0) Fail("no reply for 30 seconds");
      for (int i = 0; i < ready; ++i) {
        Client& client = *static_cast<Client*>(events[static_cast<size_t>(i)].data.ptr);
        if ((events[static_cast<size_t>(i)].events & EPOLLOUT) != 0) Write(client);
        if ((events[static_cast<size_t>(i)].events & ~uint32_t{EPOLLOUT}) != 0) Read(client);
      }
    }
    Print(std::chrono::duration<double>(Clock::now() - begin).count());
  }

 private:
  void SendBatch(Client& client) {
    const uint64_t batch = std::min(options_.pipeline, total_ - asked_);
    if (batch == 0) return;
    client.out.clear();
    client.out_at = 0;
    for (uint64_t i = 0; i < batch; ++i) {
      const uint64_t key = options_.operation == "load" ? asked_ + i : drawer_.Draw();
      dialect_.AppendRequest(key, &client.out);
    }
    asked_ += batch;
    client.due = batch;
    client.sent = Clock::now();
    Write(client);
  }

  void Write(Client& client) {
    while (client.out_at < client.out.size()) {
      const ssize_t sent = send(client.fd, client.out.data() + client.out_at,
                                client.out.size() - client.out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) FailSystem("send");
      if (sent < 0) break;
      client.out_at += static_cast<size_t>(sent);
    }
    const bool waits = client.out_at < client.out.size();
    if (waits == client.waits_to_write) return;
    client.waits_to_write = waits;
    epoll_event event = {.events = EPOLLIN | (waits ? uint32_t{EPOLLOUT} : 0),
                         .data = {.ptr = &client}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event) != 0) FailSystem("epoll_ctl");
  }

  void Read(Client& client) {
    const ssize_t got = recv(client.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got == 0) Fail("the server closed a connection");
    if (got < 0 && errno != EAGAIN) FailSystem("recv");
    if (got > 0) TakeReplies(client, {buffer_.data(), static_cast<size_t>(got)});
  }

  void TakeReplies(Client& client, std::string_view bytes) {
    const std::string& begin = dialect_.reply_begin();
    while (!bytes.empty()) {
      if (client.due == 0) Fail("a reply to nothing");
      const size_t part = std::min(bytes.size(), dialect_.reply_bytes() - client.reply_at);
      for (size_t i = client.reply_at; i < std::min(client.reply_at + part, begin.size()); ++i) {
        if (bytes[i - client.reply_at] != begin[i]) {
          Fail("a wrong reply: " + std::string(bytes.substr(0, 80)));
        }
      }
      client.reply_at += part;
      bytes.remove_prefix(part);
      if (client.reply_at < dialect_.reply_bytes()) return;
      client.reply_at = 0;
      ++done_;
      if (--client.due > 0) continue;
      batch_us_.push_back(
          std::chrono::duration<float, std::micro>(Clock::now() - client.sent).count());
      SendBatch(client);
    }
  }

  void Print(double seconds) {
    std::sort(batch_us_.begin(), batch_us_.end());
    const auto at = [this](double part) {
      return batch_us_[static_cast<size_t>(part * static_cast<double>(batch_us_.size() - 1))];
    };
    std::printf("%.1f %.1f %.1f\n", static_cast<double>(done_) / seconds,
                static_cast<double>(at(0.50)), static_cast<double>(at(0.99)));
  }

  const Options options_;
  const Dialect dialect_;
  KeyDrawer drawer_;
  const uint64_t total_;
  const int epoll_;
  std::vector<char> buffer_;
  std::vector<Client> clients_;
  uint64_t asked_ = 0;
  uint64_t done_ = 0;
  std::vector<float> batch_us_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 9)
    Fail(
        "usage: kv_load resp|memcached PORT get|set|load CLIENTS PIPELINE VALUE_BYTES "
        "KEYS COUNT [ZIPF]");
  Options options = {.memcached = std::string_view(argv[1]) == "memcached",
                     .port = static_cast<uint16_t>(std::atoi(argv[2])),
                     .operation = argv[3],
                     .clients = std::strtoull(argv[4], nullptr, 10),
                     .pipeline = std::strtoull(argv[5], nullptr, 10),
                     .value_bytes = std::strtoull(argv[6], nullptr, 10),
                     .keys = std::strtoull(argv[7], nullptr, 10),
                     .count = std::strtoull(argv[8], nullptr, 10),
                     .zipf = argc > 9 ? std::atof(argv[9]) : 0};
  if (options.operation != "load" && options.count == 0) Fail("nothing to do");
  if (options.clients == 0 || options.pipeline == 0 || options.keys == 0) Fail("nothing to do");
  Load(options).Run();
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "kv_load: %s\n", failure.what());
  return 1;
}

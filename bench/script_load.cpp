// How many transactions, locks or changes per second does a server take from many clients?
//
//   script_load SCRIPT PORT CLIENTS SECONDS
//
//   transfer   BEGIN, GETLOCK of two accounts out of 10,000, SET of both, COMMIT: six round trips.
//              Makes the accounts first, and fails if their sum is another one afterwards. Prints
//              transfers per second.
//   lock       LOCK and UNLOCK of one of 10,000 names; prints round trips per second
//   set        SET of one of 10,000 keys; the same
//
// One thread for all clients, each of which waits for every reply: like pgbench, against whose
// figures these are held.
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr long long kAccounts = 10'000;
constexpr long long kFirstBalance = 1'000;

struct Free {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
  void operator()(redisContext* context) const { redisFree(context); }
};
using Reply = std::unique_ptr<redisReply, Free>;
using Context = std::unique_ptr<redisContext, Free>;

[[noreturn]] void Fail(const std::string& why) { throw std::runtime_error(why); }

Context Connect(int port) {
  Context context(redisConnect("127.0.0.1", port));
  if (context == nullptr || context->err != 0) Fail("cannot connect");
  return context;
}

long long BalanceOf(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_STRING) Fail("an account is not there");
  return std::atoll(reply.str);
}

// What one client sends, again and again.
class Script {
 public:
  explicit Script(unsigned seed) : random_(seed) {}
  virtual ~Script() = default;
  // Appends the next command, given the reply to the one before (null: the first of all).
  virtual void AppendNext(redisContext* client, const redisReply* last) = 0;
  // Does the script end with the reply to the last command appended?
  virtual bool ends() const = 0;

 protected:
  long long Below(long long end) {
    return std::uniform_int_distribution<long long>(0, end - 1)(random_);
  }

 private:
  std::minstd_rand random_;
};

class Transfer final : public Script {
 public:
  using Script::Script;

  void AppendNext(redisContext* client, const redisReply* last) override {
    step_ = step_ == 6 ? 1 : step_ + 1;
    switch (step_) {
      case 1:
        Choose();
        redisAppendCommand(client, "BEGIN");
        break;
      case 2:
        redisAppendCommand(client, "GETLOCK account:%lld", accounts_[0]);
        break;
      case 3:
        balances_[0] = BalanceOf(*last);
        redisAppendCommand(client, "GETLOCK account:%lld", accounts_[1]);
        break;
      case 4:
        balances_[1] = BalanceOf(*last);
        redisAppendCommand(client, "SET account:%lld %lld", accounts_[0], balances_[0] - amount_);
        break;
      case 5:
        redisAppendCommand(client, "SET account:%lld %lld", accounts_[1], balances_[1] + amount_);
        break;
      default:
        redisAppendCommand(client, "COMMIT");
    }
  }
  bool ends() const override { return step_ == 6; }

 private:
  // The lower account first, so that no two clients wait for each other in a circle.
  void Choose() {
    const long long a = Below(kAccounts), b = (a + 1 + Below(kAccounts - 1)) % kAccounts;
    accounts_ = {std::min(a, b), std::max(a, b)};
    amount_ = 1 + Below(100);
  }

  int step_ = 0;
  std::array<long long, 2> accounts_{}, balances_{};
  long long amount_ = 0;
};

class LockAndUnlock final : public Script {
 public:
  using Script::Script;
  void AppendNext(redisContext* client, const redisReply*) override {
    locking_ = !locking_;
    if (locking_) name_ = Below(kAccounts);
    redisAppendCommand(client, locking_ ? "LOCK name:%lld" : "UNLOCK name:%lld", name_);
  }
  bool ends() const override { return !locking_; }

 private:
  bool locking_ = false;
  long long name_ = 0;
};

class Set final : public Script {
 public:
  using Script::Script;
  void AppendNext(redisContext* client, const redisReply*) override {
    redisAppendCommand(client, "SET key:%lld %064d", Below(kAccounts), 0);
  }
  bool ends() const override { return true; }
};

template <typename T>
std::unique_ptr<Script> Make(unsigned seed) {
  return std::make_unique<T>(seed);
}

struct ScriptRow {
  std::string_view name;
  std::unique_ptr<Script> (*make)(unsigned seed);
  int results;  // counted for each time through
};
constexpr ScriptRow kScripts[] = {
    {"transfer", Make<Transfer>, 1}, {"lock", Make<LockAndUnlock>, 2}, {"set", Make<Set>, 1}};

class Client {
 public:
  Client(int port, std::unique_ptr<Script> script)
      : context_(Connect(port)), script_(std::move(script)) {
    fcntl(fd(), F_SETFL, fcntl(fd(), F_GETFL) | O_NONBLOCK);
    context_->flags &= ~REDIS_BLOCK;
  }

  int fd() const { return context_->fd; }

  void Send(const redisReply* last) {
    script_->AppendNext(context_.get(), last);
    int done = 0;
    while (done == 0) {  // a command is shorter than a socket's buffer
      if (redisBufferWrite(context_.get(), &done) != REDIS_OK) Fail(context_->errstr);
    }
  }

  // Takes a reply, if it is there in full, and sends the next command. True: the script came to its
  // end, and then nothing is sent once `stopping`.
  bool OnReadable(bool stopping) {
    void* raw = nullptr;
    if (redisBufferRead(context_.get()) != REDIS_OK ||
        redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK) {
      Fail(context_->errstr);
    }
    const Reply reply(static_cast<redisReply*>(raw));
    if (reply == nullptr) return false;
    if (reply->type == REDIS_REPLY_ERROR) Fail(reply->str);
    const bool ended = script_->ends();
    if (!ended || !stopping) Send(reply.get());
    return ended;
  }

 private:
  Context context_;
  std::unique_ptr<Script> script_;
};

// Times through the script, per second, of all clients together.
double Rate(std::vector<Client>& clients, Clock::duration time) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (Client& client : clients) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client.fd(), &event) != 0) Fail("epoll_ctl");
  }
  const auto start = Clock::now();
  for (Client& client : clients) client.Send(nullptr);
  long long ended = 0;
  bool stopping = false;
  for (size_t running = clients.size(); running > 0;) {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 10'000);
    if (count <= 0) Fail("no reply for 10 seconds");
    for (int i = 0; i < count; ++i) {
      if (!static_cast<Client*>(events[static_cast<size_t>(i)].data.ptr)->OnReadable(stopping)) {
        continue;
      }
      ++ended;
      if (stopping) --running;
    }
    stopping = stopping || Clock::now() - start >= time;
  }
  close(epoll);
  return static_cast<double>(ended) / std::chrono::duration<double>(Clock::now() - start).count();
}

// -- The accounts, by one blocking connection that sends all commands at once.

template <typename Append, typename OnReply>
void ForEachAccount(int port, Append append, OnReply on_reply) {
  const Context context = Connect(port);
  for (long long i = 0; i < kAccounts; ++i) append(context.get(), i);
  for (long long i = 0; i < kAccounts; ++i) {
    void* raw = nullptr;
    if (redisGetReply(context.get(), &raw) != REDIS_OK) Fail(context->errstr);
    const Reply reply(static_cast<redisReply*>(raw));
    on_reply(*reply);
  }
}

void MakeAccounts(int port) {
  ForEachAccount(
      port,
      [](redisContext* context, long long i) {
        redisAppendCommand(context, "SET account:%lld %lld", i, kFirstBalance);
      },
      [](const redisReply& reply) {
        if (reply.type != REDIS_REPLY_STATUS) Fail("an account could not be made");
      });
}

void CheckSum(int port) {
  long long sum = 0;
  ForEachAccount(
      port,
      [](redisContext* context, long long i) {
        redisAppendCommand(context, "GET account:%lld", i);
      },
      [&](const redisReply& reply) { sum += BalanceOf(reply); });
  if (sum != kAccounts * kFirstBalance) Fail("the sum of all accounts is " + std::to_string(sum));
}

void Run(const ScriptRow& row, int port, int client_count, int seconds) {
  const bool transfers = row.name == "transfer";
  if (transfers) MakeAccounts(port);
  std::vector<Client> clients;
  for (int i = 0; i < client_count; ++i) {
    clients.emplace_back(port, row.make(static_cast<unsigned>(i) + 1));
  }
  const double rate = Rate(clients, std::chrono::seconds(seconds));
  if (transfers) CheckSum(port);
  std::printf("%.0f\n", rate * row.results);
}

}  // namespace

int main(int argc, char** argv) {
  const auto* row =
      argc == 5 ? std::ranges::find(kScripts, argv[1], &ScriptRow::name) : std::end(kScripts);
  if (row == std::end(kScripts)) {
    std::fprintf(stderr, "usage: script_load transfer|lock|set PORT CLIENTS SECONDS\n");
    return 2;
  }
  try {
    Run(*row, std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]));
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "script_load: %s\n", failure.what());
    return 1;
  }
}

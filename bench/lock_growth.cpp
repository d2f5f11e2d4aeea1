// What does one more lock cost a transaction that holds many?
//
//   lock_growth PORT HELD
//
// One transaction locks HELD keys that nobody else knows, by GETLOCK in batches of 100, and rolls
// back. Prints two numbers: nanoseconds for each of the last thousand locks, and for each lock that
// ROLLBACK gives back. The least of nine transactions: what disturbs one only adds.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBatch = 100;
constexpr int kMeasured = 1'000;
constexpr int kTransactions = 9;

struct Free {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
  void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, Free>;

void Receive(redisContext* context) {
  void* raw = nullptr;
  if (redisGetReply(context, &raw) != REDIS_OK) throw std::runtime_error(context->errstr);
  const std::unique_ptr<redisReply, Free> reply(static_cast<redisReply*>(raw));
  if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(reply->str);
}

void Do(redisContext* context, const char* command) {
  redisAppendCommand(context, command);
  Receive(context);
}

void LockKeys(redisContext* context, int begin, int end) {
  for (int first = begin; first < end; first += kBatch) {
    const int last = std::min(first + kBatch, end);
    for (int i = first; i < last; ++i) redisAppendCommand(context, "GETLOCK unknown:%d", i);
    for (int i = first; i < last; ++i) Receive(context);
  }
}

double Nanoseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::nano>(Clock::now() - since).count();
}

struct Costs {
  double lock_ns, release_ns;  // of one
};

Costs OneTransaction(redisContext* context, int held) {
  Do(context, "BEGIN");
  LockKeys(context, 0, held - kMeasured);
  const auto locking = Clock::now();
  LockKeys(context, held - kMeasured, held);
  const double lock_ns = Nanoseconds(locking) / kMeasured;
  const auto releasing = Clock::now();
  Do(context, "ROLLBACK");
  return {lock_ns, Nanoseconds(releasing) / held};
}

void Measure(int port, int held) {
  const Context context(redisConnect("127.0.0.1", port));
  if (context == nullptr || context->err != 0) throw std::runtime_error("cannot connect");
  Costs least = OneTransaction(context.get(), held);
  for (int i = 1; i < kTransactions; ++i) {
    const Costs costs = OneTransaction(context.get(), held);
    least = {std::min(least.lock_ns, costs.lock_ns), std::min(least.release_ns, costs.release_ns)};
  }
  std::printf("%.0f %.0f\n", least.lock_ns, least.release_ns);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::atoi(argv[2]) < kMeasured) {
    std::fprintf(stderr, "usage: lock_growth PORT HELD     (HELD at least %d)\n", kMeasured);
    return 2;
  }
  try {
    Measure(std::atoi(argv[1]), std::atoi(argv[2]));
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "lock_growth: %s\n", failure.what());
    return 1;
  }
}

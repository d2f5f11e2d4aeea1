#include "tests/isolation/random_client.h"

#include <poll.h>
#include <signal.h>

#include <chrono>
#include <future>

#include "tests/isolation/expectation.h"

namespace warren::test {

RandomClient::RandomClient(int number, uint64_t seed, unsigned cuts)
    : number_(number), random_(seed * 31 + static_cast<uint64_t>(number)), cuts_(cuts) {}

std::string RandomClient::Work(const Server& server, const std::atomic<bool>& stop) {
  while (!stop && problem_.empty()) {
    try {
      if (!connection_.open()) Connect(server);
      if (connection_.open()) OneTransaction();
    } catch (const Broken&) {
      OnBroken();
      connection_.Close();
    }
  }
  connection_id_ = 0;
  backend_ = 0;
  connection_.Close();
  return problem_;
}

void RandomClient::Connect(const Server& server) {
  connection_id_ = 0;
  backend_ = 0;
  connection_ = server.Connect();
  if (!connection_.open()) return;
  connection_id_ = Ask({"CLIENT", "ID"}).integer;
  backend_ = Server::BackendOf(connection_);
  if (database_ != 0) Ask({"SELECT", std::to_string(database_)});
}

Reply RandomClient::Ask(const Words& words) {
  if (Random(1000) < cuts_) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    connection_.SendRaw(request);
    throw Broken{};
  }
  Reply reply = connection_.Send(words);
  if (reply.closed() || reply.is_error("ERR the connection is being closed")) throw Broken{};
  return reply;
}

void RandomClient::Unexpected(const Words& words, const Reply& reply) {
  problem_ = "client " + std::to_string(number_) + ":";
  for (const std::string& word : words) problem_ += " " + word.substr(0, 40);
  problem_ += " is answered " + ToText(reply).substr(0, 500);
}

bool RandomClient::IsLockError(const Reply& reply) {
  deadlocks_ += reply.is_error("DEADLOCK") ? 1 : 0;
  timeouts_ += IsTimeout(reply) ? 1 : 0;
  return reply.is_error("DEADLOCK") || IsTimeout(reply);
}

bool RandomClient::IsTimeout(const Reply& reply) {
  return reply.is_error("LOCKTIMEOUT") ||
         reply.is_error("EXECABORT Transaction discarded because of: LOCKTIMEOUT");
}

namespace {

// Lets time pass, and strikes in between: the moments are what is random here.
uint64_t PassTime(Server& server, const std::vector<RandomClient*>& clients, Milliseconds duration,
                  const Faults& faults, uint64_t seed) {
  std::mt19937_64 random(seed);
  uint64_t kills = 0;
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) {
    poll(nullptr, 0, static_cast<int>(5 + random() % 40));
    const RandomClient& victim = *clients[random() % clients.size()];
    const int64_t id = victim.connection_id();
    const pid_t backend = victim.backend();
    if (faults.kill_clients && random() % 4 == 0 && id != 0) {
      server.Command("CLIENT", "KILL", "ID", std::to_string(id));
      ++kills;
    }
    if (faults.kill_backends && random() % 4 == 0 && backend != 0) {
      kill(backend, SIGKILL);
      ++kills;
    }
  }
  return kills;
}

void Inspect(Server& server, RunResult& result) {
  Reply locks;
  const bool none = WaitUntil(
      [&] {
        locks = server.Command("LOCKS");
        return locks.type == Reply::kArray && locks.elements.empty();
      },
      kPatience);
  if (!none) result.problems.push_back("locks are left: " + ToText(locks));
  const Reply checked = server.Command("CHECK");
  if (checked.is_error() || checked.closed()) {
    result.problems.push_back("CHECK: " + ToText(checked));
  }
}

}  // namespace

RunResult RunClients(Server& server, const std::vector<RandomClient*>& clients,
                     Milliseconds duration, const Faults& faults, uint64_t seed) {
  RunResult result;
  std::atomic<bool> stop = false;
  std::vector<std::future<std::string>> work;
  for (RandomClient* client : clients) {
    work.push_back(std::async(std::launch::async,
                              [client, &server, &stop] { return client->Work(server, stop); }));
  }
  result.kills = PassTime(server, clients, duration, faults, seed);
  stop = true;
  for (auto& done : work) {
    if (std::string problem = done.get(); !problem.empty()) result.problems.push_back(problem);
  }
  for (const RandomClient* client : clients) {
    result.deadlocks += client->deadlocks();
    result.timeouts += client->timeouts();
  }
  Inspect(server, result);
  return result;
}

std::string RunResult::text() const {
  std::string text = std::to_string(deadlocks) + " deadlocks, " + std::to_string(timeouts) +
                     " lock timeouts, " + std::to_string(kills) + " kills\n";
  for (const std::string& problem : problems) text += "  " + problem + "\n";
  return text;
}

}  // namespace warren::test

#include "tests/isolation/cast.h"

#include <poll.h>
#include <signal.h>

#include <cstdlib>
#include <utility>

namespace warren::test {
namespace {

Reply Done() {
  Reply reply;
  reply.type = Reply::kStatus;
  reply.text = "OK";
  return reply;
}

Reply Failed(const std::string& why) {
  Reply reply;
  reply.type = Reply::kError;
  reply.text = why;
  return reply;
}

bool Readable(int fd, Milliseconds patience) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace

Actor::Actor(Stage& stage) : stage_(stage), connection_(stage.Connect()) { Introduce(); }

void Actor::Introduce() {
  id_ = connection_("CLIENT", "ID").integer;
  pid_ = stage_.is_redis() ? 0 : Server::BackendOf(connection_);
}

void Actor::Begin(const Words& words) {
  if (words.front().starts_with('@')) {
    acted_ = Act(words);
  } else {
    Send(words);
    pending_ = true;
  }
}

void Actor::Send(const Words& words) {
  std::string request = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  if (connection_.fd() >= 0) connection_.SendRaw(request);
}

std::optional<Reply> Actor::Take(Milliseconds patience) {
  if (acted_) return std::exchange(acted_, std::nullopt);
  if (!pending_) return {};
  if (connection_.fd() >= 0 && !Readable(connection_.fd(), patience)) return {};
  pending_ = false;
  return connection_.Receive();
}

std::optional<LockRow> Actor::Waiting(const std::vector<LockRow>& locks) const {
  for (const LockRow& row : locks) {
    if (row.pid == pid_ && !row.granted) return row;
  }
  return {};
}

Reply Actor::Act(const Words& words) {
  const std::string& action = words.front();
  if (action == "@until") return Until({words.begin() + 1, words.end()});
  if (action == "@waited" && words.size() == 3) {
    return Waited(std::atoll(words[1].c_str()), std::atoll(words[2].c_str()));
  }
  if (action == "@restart" || action == "@crash") {
    connection_.Close();
    action == "@restart" ? stage_.Restart() : stage_.RestartAfterKill();
    connection_ = stage_.Connect();
    Introduce();
    return Done();
  }
  if (action == "@sigkill") {
    kill(static_cast<pid_t>(pid_), SIGKILL);
    pending_ = false;
    return connection_.ClosedByServer() ? Done() : Failed("the connection stays open");
  }
  if (action != "@disconnect" && action != "@reconnect") return Failed("no such action: " + action);
  connection_.Close();
  pending_ = false;
  if (action == "@reconnect") {
    connection_ = stage_.Connect();
    Introduce();
  }
  return Done();
}

// @until EXPECTED COMMAND ...: asks again and again.
Reply Actor::Until(const Words& words) {
  const Expectation expected = Expectation::Parse(words.front());
  Reply last;
  Variables none;
  const bool came = WaitUntil(
      [&] {
        last = connection_.Send({words.begin() + 1, words.end()});
        return last.closed() || expected.Matches(last, none);
      },
      kPatience);
  return came ? Done() : Failed("still " + ToText(last));
}

// @waited PID MS: the backend has waited that long for a lock.
Reply Actor::Waited(int64_t pid, int64_t milliseconds) {
  const bool came = WaitUntil(
      [&] {
        for (const LockRow& row : stage_.Locks()) {
          if (row.pid == pid && !row.granted && row.wait_ms >= milliseconds) return true;
        }
        return false;
      },
      kPatience);
  return came ? Done() : Failed("it does not wait so long");
}

Cast::Cast(Stage& stage, const Scenario& scenario) : scenario_(scenario) {
  for (const ScenarioSession& session : scenario.sessions) {
    actors_.emplace(session.name, stage);
  }
}

std::string Cast::Replaced(std::string word) const {
  for (size_t open = 0; (open = word.find('{', open)) != std::string::npos; ++open) {
    const size_t close = word.find('}', open);
    if (close == std::string::npos) break;
    const std::string name = word.substr(open + 1, close - open - 1);
    const size_t dot = name.find('.');
    std::string value;
    if (dot != std::string::npos && actors_.contains(name.substr(0, dot))) {
      const Actor& actor = actors_.at(name.substr(0, dot));
      value = std::to_string(name.ends_with(".id") ? actor.id() : actor.pid());
    } else if (variables_.contains(name)) {
      value = variables_.at(name);
    } else {
      continue;
    }
    word.replace(open, close - open + 1, value);
  }
  return word;
}

void Cast::Begin(const std::string& session, const std::string& step) {
  Words words;
  for (const std::string& word : scenario_.session(session).command.at(step)) {
    words.push_back(Replaced(word));
  }
  actors_.at(session).Begin(words);
}

bool Cast::IsAction(const std::string& session, const std::string& step) const {
  return scenario_.session(session).command.at(step).front().starts_with('@');
}

std::string Cast::Reset() {
  for (auto& [name, actor] : actors_) {
    actor.Begin({"RESET"});
    const auto reply = actor.Take(kPatience);
    if (!reply || reply->is_error() || reply->closed()) {
      return name + ": RESET answers " + (reply ? ToText(*reply) : "nothing");
    }
  }
  return {};
}

}  // namespace warren::test

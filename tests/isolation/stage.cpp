#include "tests/isolation/stage.h"

#include <cstdlib>

#include "tests/isolation/expectation.h"

namespace warren::test {
namespace {

int64_t IntegerOf(const Reply& reply) {
  return reply.type == Reply::kInteger ? reply.integer : std::atoll(reply.text.c_str());
}

bool TruthOf(const Reply& reply) {
  return reply.type == Reply::kInteger ? reply.integer != 0
                                       : reply.text == "yes" || reply.text == "true";
}

LockRow RowOf(const Reply& fields) {
  LockRow row;
  row.text = ToText(fields);
  for (size_t i = 0; i + 1 < fields.elements.size(); i += 2) {
    const std::string& name = fields.elements[i].text;
    const Reply& value = fields.elements[i + 1];
    if (name == "pid") row.pid = IntegerOf(value);
    if (name == "granted") row.granted = TruthOf(value);
    if (name == "wait_ms") row.wait_ms = IntegerOf(value);
    if (name == "blocked_by") {
      for (const Reply& pid : value.elements) row.blocked_by.push_back(IntegerOf(pid));
    }
  }
  return row;
}

std::vector<std::string> ServerArguments(const std::vector<std::string>& settings) {
  std::vector<std::string> arguments;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    arguments.push_back("--" + setting.substr(0, equals));
    arguments.push_back(setting.substr(equals + 1));
  }
  return arguments;
}

}  // namespace

Stage::Stage(const std::vector<std::string>& settings)
    : warren_(std::make_unique<Server>(ServerArguments(settings))) {}

Stage::Stage(const std::string& redis_program)
    : redis_(std::make_unique<RedisServer>(redis_program)) {}

Connection Stage::Connect() const { return is_redis() ? redis_->Connect() : warren_->Connect(); }

Reply Stage::Command(const std::vector<std::string>& words) {
  if (!control_.open()) control_ = Connect();
  return control_.Send(words);
}

std::vector<LockRow> Stage::Locks() {
  std::vector<LockRow> rows;
  if (is_redis()) return rows;
  for (const Reply& fields : Command({"LOCKS"}).elements) rows.push_back(RowOf(fields));
  return rows;
}

std::string Stage::LocksAsText() {
  std::string text;
  for (const LockRow& row : Locks()) text += "  " + row.text + "\n";
  return text.empty() ? "  no locks\n" : text;
}

std::string Stage::Prepare(const std::vector<std::vector<std::string>>& setup) {
  for (const auto& words : {std::vector<std::string>{"RESET"}, {"FLUSHALL"}}) {
    if (const Reply reply = Command(words); reply.is_error() || reply.closed()) {
      return "setup: " + ToText(reply);
    }
  }
  for (const auto& words : setup) {
    const Reply reply = Command(words);
    if (reply.is_error() || reply.closed()) return "setup: " + ToText(reply);
  }
  return {};
}

std::string Stage::Inspect() {
  if (is_redis()) return {};
  if (!WaitUntil([&] { return Locks().empty(); }, kPatience)) {
    return "locks are left behind:\n" + LocksAsText();
  }
  const Reply checked = Command({"CHECK"});
  return checked.is_error() || checked.closed() ? "CHECK: " + ToText(checked) : std::string{};
}

void Stage::Restart() {
  control_.Close();
  warren_->Stop();
  warren_->Start();
}

void Stage::RestartAfterKill() {
  control_.Close();
  warren_->Kill();
  warren_->Start();
}

}  // namespace warren::test

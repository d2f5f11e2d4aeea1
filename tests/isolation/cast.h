// How does a scenario's session act: send a step, see whether it is answered or waits?
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/isolation/scenario.h"
#include "tests/isolation/stage.h"

namespace warren::test {

// One session of a scenario at play.
class Actor {
 public:
  explicit Actor(Stage& stage);

  // Sends a command, or performs an action (@...), whose reply is there at once.
  void Begin(const Words& words);
  bool pending() const { return pending_; }
  // The reply of the step begun, if it has come within `patience`.
  std::optional<Reply> Take(Milliseconds patience = Milliseconds(0));
  // The row of LOCKS that says what this session's backend waits for.
  std::optional<LockRow> Waiting(const std::vector<LockRow>& locks) const;
  int64_t id() const { return id_; }
  int64_t pid() const { return pid_; }

 private:
  void Introduce();
  void Send(const Words& words);
  Reply Act(const Words& words);
  Reply Until(const Words& words);
  Reply Waited(int64_t pid, int64_t milliseconds);

  Stage& stage_;
  Connection connection_;
  int64_t id_ = 0;
  int64_t pid_ = 0;
  bool pending_ = false;
  std::optional<Reply> acted_;
};

// All sessions of a scenario.
class Cast {
 public:
  Cast(Stage& stage, const Scenario& scenario);
  Actor& operator[](const std::string& session) { return actors_.at(session); }
  // Begins a step, {name.id}, {name.pid} and {variable} replaced in its words.
  void Begin(const std::string& session, const std::string& step);
  // Is it done by the runner, also to a session that waits?
  bool IsAction(const std::string& session, const std::string& step) const;
  // For the next play on the same connections. What is not as it was, or nothing.
  std::string Reset();
  Variables& variables() { return variables_; }

 private:
  std::string Replaced(std::string word) const;

  const Scenario& scenario_;
  std::map<std::string, Actor> actors_;
  Variables variables_;
};

}  // namespace warren::test

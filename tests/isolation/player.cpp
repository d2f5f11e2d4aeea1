#include "tests/isolation/player.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <random>
#include <set>

#include "tests/isolation/cast.h"

namespace warren::test {
namespace {

// A reply that is expected comes within this time, or the scenario fails.
constexpr Milliseconds kReplyPatience = kPatience;

class OrderPlayer {
 public:
  OrderPlayer(Stage& stage, const Scenario& scenario) : stage_(stage), cast_(stage, scenario) {}

  std::string Play(const Order& order) {
    for (const Move& move : order.moves) {
      const std::string problem = Make(move);
      if (!problem.empty()) {
        return "order " + order.title + ", line " + std::to_string(move.line) + ": " + problem +
               "\nso far:\n" + story_ + "locks:\n" + stage_.LocksAsText();
      }
    }
    const std::string left = Inspect();
    return left.empty() ? left : "order " + order.title + ": at the end " + left;
  }

 private:
  std::string Make(const Move& move) {
    Actor& actor = cast_[move.session];
    const std::string name = move.session + "." + move.step;
    if (move.completes) {
      if (begun_[move.session] != move.step) return name + " does not wait";
    } else {
      if (actor.pending() && !cast_.IsAction(move.session, move.step)) {
        return name + ": the session is still busy";
      }
      cast_.Begin(move.session, move.step);
      begun_[move.session] = move.step;
    }
    return move.waits ? AwaitWait(actor, move, name) : AwaitReply(actor, move, name);
  }

  std::string AwaitReply(Actor& actor, const Move& move, const std::string& name) {
    const auto reply = actor.Take(kReplyPatience);
    if (!reply) return name + " is not answered";
    begun_.erase(move.session);
    story_ += "  " + name + "  " + ToText(*reply) + "\n";
    return move.expected.Matches(*reply, cast_.variables()) ? std::string{}
                                                            : name + " answers " + ToText(*reply);
  }

  std::string AwaitWait(Actor& actor, const Move& move, const std::string& name) {
    std::optional<Reply> reply;
    std::optional<LockRow> row;
    std::string wrong;
    const bool decided = WaitUntil(
        [&] {
          reply = actor.Take();
          if (reply) return true;
          row = actor.Waiting(stage_.Locks());
          wrong = row ? WrongBlockers(*row, move) : std::string{};
          return row && wrong.empty();
        },
        kReplyPatience);
    if (reply) return name + " does not wait, but answers " + ToText(*reply);
    if (!decided) return name + (row ? " waits, but " + wrong : " neither waits nor answers");
    story_ += "  " + name + "  <waiting>\n";
    return {};
  }

  std::string WrongBlockers(const LockRow& row, const Move& move) {
    for (const std::string& other : move.behind) {
      if (std::ranges::find(row.blocked_by, cast_[other].pid()) == row.blocked_by.end()) {
        return "not for " + other;
      }
    }
    return {};
  }

  std::string Inspect() {
    if (!begun_.empty()) {
      return begun_.begin()->first + "." + begun_.begin()->second + " has not completed";
    }
    return stage_.Inspect();
  }

  Stage& stage_;
  Cast cast_;
  std::map<std::string, std::string> begun_;  // session: step without a reply yet
  std::string story_;
};

// What the sessions and the looks at the end were told. Aborted sessions: nothing but the name.
struct Outcome {
  std::map<std::string, std::vector<std::string>> replies;
  std::vector<std::string> looks;
  friend auto operator<=>(const Outcome&, const Outcome&) = default;

  std::string text() const {
    std::string text;
    for (const auto& [session, all] : replies) {
      text += "  " + session + ":";
      for (const std::string& reply : all) text += " " + reply;
      text += "\n";
    }
    text += "  at the end:";
    for (const std::string& look : looks) text += " " + look;
    return text + "\n";
  }
};

class EveryOrderPlayer {
 public:
  EveryOrderPlayer(Stage& stage, const Scenario& scenario)
      : stage_(stage), scenario_(scenario), cast_(stage, scenario) {}

  std::string Play(const std::vector<std::string>& interleaving) {
    Outcome found;
    std::string story;
    std::set<std::string> aborted;
    std::string problem = Run(interleaving, found, aborted, story);
    if (problem.empty() && !SerialOutcomes(aborted, problem).contains(found) && problem.empty()) {
      problem = "no order of whole sessions ends so:\n" + found.text();
    }
    if (problem.empty()) problem = stage_.Inspect();
    return problem.empty() ? problem : problem + "\nsteps:\n" + story;
  }

 private:
  // All orders of the sessions that were not aborted, each played once.
  const std::set<Outcome>& SerialOutcomes(const std::set<std::string>& aborted,
                                          std::string& problem) {
    auto [known, is_new] = serial_.try_emplace(aborted);
    if (!is_new) return known->second;
    std::vector<std::string> names;
    for (const ScenarioSession& session : scenario_.sessions) {
      if (!aborted.contains(session.name)) names.push_back(session.name);
    }
    std::ranges::sort(names);
    do {
      std::vector<std::string> steps;
      for (const std::string& name : names) {
        steps.insert(steps.end(), scenario_.session(name).steps.size(), name);
      }
      Outcome outcome;
      std::set<std::string> aborted_alone;
      std::string story;
      problem = Run(steps, outcome, aborted_alone, story);
      if (problem.empty() && !aborted_alone.empty()) problem = "aborts even when nobody else works";
      if (!problem.empty()) break;
      known->second.insert(outcome);
    } while (std::ranges::next_permutation(names).found);
    return known->second;
  }

  // Plays the steps in this order, as far as sessions that wait allow.
  std::string Run(const std::vector<std::string>& interleaving, Outcome& outcome,
                  std::set<std::string>& aborted, std::string& story) {
    std::string problem = stage_.Prepare(scenario_.setup);
    if (problem.empty()) problem = cast_.Reset();
    outcome_ = {};
    next_.clear();
    story_.clear();
    std::deque<std::string> due(interleaving.begin(), interleaving.end());
    while (problem.empty() && !(due.empty() && pending_.empty())) {
      const auto ready = std::ranges::find_if(
          due, [&](const std::string& session) { return !pending_.contains(session); });
      if (ready != due.end()) {
        BeginNext(*ready);
        due.erase(ready);
        problem = Settle(/*wait_for_one=*/false);
      } else {
        problem = Settle(/*wait_for_one=*/true);
      }
    }
    for (const Words& look : scenario_.looks) {
      outcome_.looks.push_back(ToText(stage_.Command(look)));
    }
    aborted = DropAborted();
    outcome = outcome_;
    story = story_;
    return problem;
  }

  void BeginNext(const std::string& session) {
    const std::string& step = scenario_.session(session).steps[next_[session]++];
    cast_.Begin(session, step);
    pending_[session] = step;
  }

  // Until each session has its reply or is seen to wait; or, if all wait, until one has its reply.
  std::string Settle(bool wait_for_one) {
    const size_t before = pending_.size();
    const bool settled = WaitUntil(
        [&] {
          bool all_decided = true;
          std::vector<std::string> silent;
          for (auto& [session, step] : std::map(pending_)) {
            if (!TakeReply(session, step)) silent.push_back(session);
          }
          const auto locks = silent.empty() ? std::vector<LockRow>{} : stage_.Locks();
          for (const std::string& session : silent) {
            all_decided = all_decided && cast_[session].Waiting(locks).has_value();
          }
          return all_decided && (!wait_for_one || pending_.size() < before);
        },
        kReplyPatience);
    return settled ? std::string{} : "neither a reply nor a lock\n" + stage_.LocksAsText();
  }

  bool TakeReply(const std::string& session, const std::string& step) {
    const auto reply = cast_[session].Take();
    if (!reply) return false;
    pending_.erase(session);
    outcome_.replies[session].push_back(ToText(*reply));
    story_ += "  " + session + "." + step + "  " + ToText(*reply) + "\n";
    return true;
  }

  std::set<std::string> DropAborted() {
    std::set<std::string> aborted;
    for (const ScenarioSession& session : scenario_.sessions) {
      const auto& replies = outcome_.replies[session.name];
      for (size_t i = 0; i < replies.size(); ++i) {
        const Words& command = session.command.at(session.steps[i]);
        const bool exec_failed = command.front() == "EXEC" && replies[i] == "nil";
        if (exec_failed || replies[i].starts_with("-DEADLOCK") ||
            replies[i].starts_with("-LOCKTIMEOUT")) {
          aborted.insert(session.name);
        }
      }
      // Sessions that were not played leave no replies.
      if (replies.empty() || aborted.contains(session.name)) outcome_.replies.erase(session.name);
    }
    return aborted;
  }

  Stage& stage_;
  const Scenario& scenario_;
  Cast cast_;
  std::map<std::set<std::string>, std::set<Outcome>> serial_;  // by the sessions that are missing
  Outcome outcome_;
  std::map<std::string, size_t> next_;          // by session: the step to come
  std::map<std::string, std::string> pending_;  // by session: the step without a reply
  std::string story_;
};

}  // namespace

std::string PlayOrder(Stage& stage, const Scenario& scenario, const Order& order) {
  const std::string problem = stage.Prepare(scenario.setup);
  return problem.empty() ? OrderPlayer(stage, scenario).Play(order) : problem;
}

std::string PlayEveryOrder(Stage& stage, const Scenario& scenario, size_t limit, uint64_t seed) {
  std::vector<std::string> steps;
  for (const ScenarioSession& session : scenario.sessions) {
    steps.insert(steps.end(), session.steps.size(), session.name);
  }
  std::ranges::sort(steps);
  std::vector<std::vector<std::string>> interleavings;
  std::mt19937_64 random(seed);
  size_t count = 0;
  do {  // a sample of `limit`, each as likely as any other
    ++count;
    if (interleavings.size() < limit) {
      interleavings.push_back(steps);
    } else if (const size_t at = random() % count; at < limit) {
      interleavings[at] = steps;
    }
  } while (std::ranges::next_permutation(steps).found);
  EveryOrderPlayer player(stage, scenario);
  for (const auto& interleaving : interleavings) {
    const std::string problem = player.Play(interleaving);
    if (!problem.empty()) return problem;
  }
  return {};
}

}  // namespace warren::test

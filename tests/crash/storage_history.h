// What may a store hold after its process, its disk or its power failed?
//
// A history is the changes that the store said it made, in order, and how many of them were
// acknowledged as durable. A commit of several keys is one change. What comes back must be the
// state after some number of these changes, not fewer than were acknowledged: the log is a prefix.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace warren::test {

class History {
 public:
  using State = std::map<std::string, std::string>;

  // Begins with `state`, which is durable.
  void BeginWith(State state) {
    base_ = state;
    now_ = std::move(state);
    changes_.clear();
    acknowledged_ = 0;
  }

  struct Change {
    std::string key;  // empty: all keys
    std::optional<std::string> value;
  };

  void Put(const std::string& key, const std::string& value) { Add({{key, value}}); }
  void Erase(const std::string& key) { Add({{key, std::nullopt}}); }
  void Clear() { Add({{"", std::nullopt}}); }
  // Several changes that are there all together, or not at all.
  void Commit(std::vector<Change> changes) { Add(std::move(changes)); }
  // Everything so far is durable.
  void Acknowledge() { acknowledged_ = changes_.size(); }

  // As a later life finds it: the changes behind the first `done` never were, and of these no more
  // than `acknowledged` are known to be durable.
  void CutTo(size_t done, size_t acknowledged) {
    changes_.resize(done);
    acknowledged_ = acknowledged;
    now_ = base_;
    for (const auto& change : changes_) Apply(change, now_);
  }

  const State& now() const { return now_; }
  size_t size() const { return changes_.size(); }
  size_t acknowledged() const { return acknowledged_; }

  // The least number of changes, not below `at_least`, that explains what was found.
  std::optional<size_t> Explain(const State& found, size_t at_least) const {
    State state = base_;
    for (size_t done = 0;; ++done) {
      if (done >= at_least && state == found) return done;
      if (done == changes_.size()) return std::nullopt;
      Apply(changes_[done], state);
    }
  }

 private:
  void Add(std::vector<Change> change) {
    Apply(change, now_);
    changes_.push_back(std::move(change));
  }
  static void Apply(const std::vector<Change>& changes, State& state) {
    for (const auto& [key, value] : changes) {
      if (key.empty()) {
        state.clear();
      } else if (value.has_value()) {
        state[key] = *value;
      } else {
        state.erase(key);
      }
    }
  }

  State base_;
  State now_;
  std::vector<std::vector<Change>> changes_;
  size_t acknowledged_ = 0;
};

}  // namespace warren::test

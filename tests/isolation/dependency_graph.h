// Is there a cycle of dependencies, and of which kinds is it made?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace warren::test {

class DependencyGraph {
 public:
  enum Kind : uint8_t { kWW = 1, kWR = 2, kRW = 4, kTime = 8 };
  struct Edge {
    size_t from, to;
    Kind kind;
  };
  using Cycle = std::vector<Edge>;  // the last one leads to where the first begins
  using Component = std::vector<size_t>;

  explicit DependencyGraph(size_t nodes) : edges_(nodes) {}
  size_t AddNode();
  void Add(size_t from, size_t to, Kind kind);  // from == to: ignored

  // Sets of more than one node, each reachable from each by edges of `kinds` that stay within
  // `among` (all nodes if empty).
  std::vector<Component> Components(unsigned kinds, const Component& among = {}) const;
  // A shortest cycle within the component through one of its nodes.
  Cycle AnyCycle(unsigned kinds, const Component& among) const;
  // A cycle with exactly one edge of kind `once`, the others being of `kinds`.
  std::optional<Cycle> CycleWithOne(Kind once, unsigned kinds, const Component& among) const;

 private:
  struct Target {
    size_t to;
    Kind kind;
  };
  // The shortest way from `from` to `to`; empty if there is none.
  Cycle Way(size_t from, size_t to, unsigned kinds, const std::vector<bool>& among) const;
  std::vector<bool> Membership(const Component& among) const;

  std::vector<std::vector<Target>> edges_;
};

}  // namespace warren::test

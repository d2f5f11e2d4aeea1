#include "tests/isolation/dependency_graph.h"

#include <algorithm>
#include <deque>
#include <limits>

namespace warren::test {

size_t DependencyGraph::AddNode() {
  edges_.emplace_back();
  return edges_.size() - 1;
}

void DependencyGraph::Add(size_t from, size_t to, Kind kind) {
  if (from != to) edges_[from].push_back({to, kind});
}

std::vector<bool> DependencyGraph::Membership(const Component& among) const {
  std::vector<bool> member(edges_.size(), among.empty());
  for (const size_t node : among) member[node] = true;
  return member;
}

// Tarjan's algorithm with a stack of its own: histories are longer than the machine's stack.
std::vector<DependencyGraph::Component> DependencyGraph::Components(unsigned kinds,
                                                                    const Component& among) const {
  constexpr size_t kUnseen = std::numeric_limits<size_t>::max();
  const std::vector<bool> member = Membership(among);
  std::vector<size_t> index(edges_.size(), kUnseen), low(edges_.size(), 0), open;
  std::vector<bool> on_stack(edges_.size(), false);
  std::vector<Component> found;
  struct Frame {
    size_t node, next_edge;
  };
  size_t clock = 0;
  for (size_t root = 0; root < edges_.size(); ++root) {
    if (!member[root] || index[root] != kUnseen) continue;
    std::vector<Frame> frames{{root, 0}};
    while (!frames.empty()) {
      auto& [node, next] = frames.back();
      if (next == 0 && index[node] == kUnseen) {
        index[node] = low[node] = clock++;
        open.push_back(node);
        on_stack[node] = true;
      }
      if (next < edges_[node].size()) {
        const Target& edge = edges_[node][next++];
        if ((edge.kind & kinds) == 0 || !member[edge.to]) continue;
        if (index[edge.to] == kUnseen) {
          frames.push_back({edge.to, 0});
        } else if (on_stack[edge.to]) {
          low[node] = std::min(low[node], index[edge.to]);
        }
        continue;
      }
      if (low[node] == index[node]) {
        Component component;
        for (size_t last = kUnseen; last != node;) {
          last = open.back();
          open.pop_back();
          on_stack[last] = false;
          component.push_back(last);
        }
        if (component.size() > 1) found.push_back(std::move(component));
      }
      const size_t done = node;
      frames.pop_back();
      if (!frames.empty()) low[frames.back().node] = std::min(low[frames.back().node], low[done]);
    }
  }
  return found;
}

DependencyGraph::Cycle DependencyGraph::Way(size_t from, size_t to, unsigned kinds,
                                            const std::vector<bool>& among) const {
  std::vector<std::optional<Edge>> came_by(edges_.size());
  std::deque<size_t> next{from};
  while (!next.empty() && !came_by[to]) {
    const size_t node = next.front();
    next.pop_front();
    for (const Target& edge : edges_[node]) {
      if ((edge.kind & kinds) == 0 || !among[edge.to] || came_by[edge.to]) continue;
      came_by[edge.to] = Edge{node, edge.to, edge.kind};
      next.push_back(edge.to);
    }
  }
  Cycle way;
  if (!came_by[to]) return way;
  for (size_t node = to; way.empty() || node != from; node = way.back().from) {
    way.push_back(*came_by[node]);
  }
  std::ranges::reverse(way);
  return way;
}

DependencyGraph::Cycle DependencyGraph::AnyCycle(unsigned kinds, const Component& among) const {
  const std::vector<bool> member = Membership(among);
  Cycle best;
  constexpr size_t kTried = 50;
  for (size_t i = 0; i < std::min(among.size(), kTried); ++i) {
    Cycle cycle = Way(among[i], among[i], kinds, member);
    if (!cycle.empty() && (best.empty() || cycle.size() < best.size())) best = std::move(cycle);
  }
  return best;
}

std::optional<DependencyGraph::Cycle> DependencyGraph::CycleWithOne(Kind once, unsigned kinds,
                                                                    const Component& among) const {
  const std::vector<bool> member = Membership(among);
  size_t tried = 0;
  constexpr size_t kMostTried = 2000;
  for (const size_t node : among) {
    for (const Target& edge : edges_[node]) {
      if (edge.kind != once || !member[edge.to]) continue;
      if (++tried > kMostTried) return {};
      Cycle way = Way(edge.to, node, kinds, member);
      if (way.empty()) continue;
      way.insert(way.begin(), Edge{node, edge.to, once});
      return way;
    }
  }
  return {};
}

}  // namespace warren::test

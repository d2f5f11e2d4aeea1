#include "tests/isolation/history_checker.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "tests/isolation/dependency_graph.h"

namespace warren::test {
namespace {

using Graph = DependencyGraph;

class Checker {
 public:
  explicit Checker(const History& history)
      : history_(history), graph_(history.transactions.size()) {}

  std::vector<Anomaly> Run() {
    FindWriters();
    SettleUnknownOutcomes();
    CheckEnd();
    for (size_t i = 0; i < Count(); ++i) {
      if (Committed(i)) CheckTransaction(i);
    }
    CheckLostUpdates();
    AddVersionOrder();
    AddTime();
    for (const Graph::Component& component :
         graph_.Components(Graph::kWW | Graph::kWR | Graph::kRW | Graph::kTime)) {
      Classify(component);
    }
    return std::move(anomalies_);
  }

 private:
  struct Writer {
    size_t transaction;
    std::string key;
  };

  size_t Count() const { return history_.transactions.size(); }
  const HistoryTransaction& At(size_t i) const { return history_.transactions[i]; }
  bool Committed(size_t i) const { return outcome_.at(i) == HistoryTransaction::kCommitted; }
  const ElementList& End(const std::string& key) const {
    static const ElementList kEmpty;
    const auto found = history_.at_the_end.find(key);
    return found == history_.at_the_end.end() ? kEmpty : found->second;
  }

  void Report(Anomaly::Kind kind, const std::string& text) {
    constexpr size_t kMost = 40;
    if (anomalies_.size() < kMost) anomalies_.push_back({kind, text});
  }
  std::string Name(size_t i) const {
    const HistoryTransaction& one = At(i);
    return "T" + std::to_string(i) + "(client " + std::to_string(one.client) +
           (one.about.empty() ? "" : ": " + one.about) + ")";
  }

  void FindWriters() {
    for (size_t i = 0; i < Count(); ++i) {
      outcome_.push_back(At(i).outcome);
      for (const HistoryEvent& event : At(i).events) {
        if (event.kind == HistoryEvent::kAppend) writers_[event.element] = {i, event.key};
      }
    }
    for (const auto& [key, list] : history_.at_the_end) {
      for (size_t at = 0; at < list.size(); ++at) {
        if (!place_.emplace(list[at], at).second) {
          Report(Anomaly::kDuplicate, "element " + std::to_string(list[at]) + " in " + key);
        }
      }
    }
  }

  // Whose answer never came has committed if any of his elements is there.
  void SettleUnknownOutcomes() {
    for (size_t i = 0; i < Count(); ++i) {
      if (outcome_[i] != HistoryTransaction::kUnknown) continue;
      size_t appended = 0, there = 0;
      for (const HistoryEvent& event : At(i).events) {
        if (event.kind != HistoryEvent::kAppend) continue;
        ++appended;
        there += place_.contains(event.element) ? 1 : 0;
      }
      if (there != 0 && there != appended) Report(Anomaly::kHalf, Name(i));
      outcome_[i] = there == 0 ? HistoryTransaction::kAborted : HistoryTransaction::kCommitted;
    }
  }

  void CheckEnd() {
    for (const auto& [key, list] : history_.at_the_end) {
      for (const Element element : list) CheckElement(key, element, "the end");
    }
  }

  // Somebody saw this element: was it written to this key, by somebody who committed?
  void CheckElement(const std::string& key, Element element, const std::string& who) {
    const auto writer = writers_.find(element);
    const std::string text = who + " shows element " + std::to_string(element) + " in " + key;
    if (writer == writers_.end() || writer->second.key != key) {
      Report(Anomaly::kNeverWritten, text);
    } else if (!Committed(writer->second.transaction)) {
      Report(Anomaly::kG1a, text + " of " + Name(writer->second.transaction));
    }
  }

  // -- One transaction: what it saw must be the beginning of the list at the end, and then its own.

  void CheckTransaction(size_t i) {
    std::map<std::string, ElementList> own;
    std::map<std::string, size_t> seen;  // how long the list was without own appends
    for (const HistoryEvent& event : At(i).events) {
      ElementList& mine = own[event.key];
      switch (event.kind) {
        case HistoryEvent::kRead:
          if (const auto others = WithoutOwn(i, event, mine)) {
            SawList(i, event.key, *others);
            SawLength(i, event.key, others->size(), seen);
          }
          break;
        case HistoryEvent::kLength:
          SawLengthWithOwn(i, event, mine.size(), seen);
          break;
        case HistoryEvent::kPresent:
          if (mine.empty()) SawPresent(i, event.key);
          break;
        case HistoryEvent::kAppend:
          mine.push_back(event.element);
          CheckAppend(i, event);
          if (event.length != 0) SawLengthWithOwn(i, event, mine.size(), seen);
          break;
      }
    }
  }

  std::optional<ElementList> WithoutOwn(size_t i, const HistoryEvent& event,
                                        const ElementList& own) {
    const ElementList& list = event.list;
    if (list.size() < own.size() || !std::equal(own.rbegin(), own.rend(), list.rbegin())) {
      Report(Anomaly::kInternal, Name(i) + " misses its own appends to " + event.key);
      return {};
    }
    return ElementList(list.begin(), list.end() - static_cast<std::ptrdiff_t>(own.size()));
  }

  void SawList(size_t i, const std::string& key, const ElementList& list) {
    const ElementList& end = End(key);
    // Elements that are there at the end, too, have been looked at.
    if (list.size() <= end.size() && std::equal(list.begin(), list.end(), end.begin())) return;
    for (const Element element : list) CheckElement(key, element, Name(i));
    if (std::set<Element>(list.begin(), list.end()).size() != list.size()) {
      Report(Anomaly::kDuplicate, Name(i) + " reads an element of " + key + " twice");
    }
    Report(Anomaly::kOrder, Name(i) + " reads " + key + " with " + std::to_string(list.size()) +
                                " elements, which is no beginning of what it holds at the end");
  }

  void SawLengthWithOwn(size_t i, const HistoryEvent& event, size_t own,
                        std::map<std::string, size_t>& seen) {
    if (event.length < own) {
      Report(Anomaly::kInternal, Name(i) + " misses its own appends to " + event.key);
    } else {
      SawLength(i, event.key, event.length - own, seen);
    }
  }

  void SawLength(size_t i, const std::string& key, size_t length,
                 std::map<std::string, size_t>& seen) {
    const auto [before, is_first] = seen.emplace(key, length);
    if (!is_first && before->second != length && !At(i).read_committed) {
      Report(Anomaly::kInternal, Name(i) + " sees " + key + " with " +
                                     std::to_string(before->second) + ", then with " +
                                     std::to_string(length) + " elements of others");
    }
    const ElementList& end = End(key);
    if (length > end.size()) return;  // told by SawList, or by the loss of what was appended
    if (length > 0) ReadFrom(i, key, length);
    if (length < end.size() && !At(i).read_committed) {
      if (const auto next = WriterOf(end[length])) graph_.Add(i, *next, Graph::kRW);
    }
    reads_[key][length].push_back(i);
  }

  // It saw the version whose last element is the `length`th.
  void ReadFrom(size_t i, const std::string& key, size_t length) {
    const ElementList& end = End(key);
    const auto writer = WriterOf(end[length - 1]);
    if (!writer) return;
    graph_.Add(*writer, i, Graph::kWR);
    if (*writer != i && length < end.size() && WriterOf(end[length]) == writer) {
      Report(Anomaly::kG1b, Name(i) + " reads " + key + " in the middle of " + Name(*writer));
    }
  }

  void SawPresent(size_t i, const std::string& key) {
    const ElementList& end = End(key);
    if (end.empty()) {
      Report(Anomaly::kNeverWritten, Name(i) + " sees " + key + ", which nobody wrote");
    } else if (const auto writer = WriterOf(end[0])) {
      graph_.Add(*writer, i, Graph::kWR);
    }
  }

  void CheckAppend(size_t i, const HistoryEvent& event) {
    const auto place = place_.find(event.element);
    if (place == place_.end()) {
      Report(Anomaly::kLostAppend,
             Name(i) + ": element " + std::to_string(event.element) + " of " + event.key);
    } else if (event.length != 0 && place->second + 1 != event.length) {
      Report(Anomaly::kMisplaced, Name(i) + " was told length " + std::to_string(event.length) +
                                      " of " + event.key + ", but is element " +
                                      std::to_string(place->second + 1));
    }
    appenders_[event.key].insert(i);
  }

  std::optional<size_t> WriterOf(Element element) const {
    const auto found = writers_.find(element);
    if (found == writers_.end() || !Committed(found->second.transaction)) return {};
    return found->second.transaction;
  }

  void CheckLostUpdates() {
    for (const auto& [key, by_length] : reads_) {
      for (const auto& [length, readers] : by_length) {
        std::set<size_t> both;
        for (const size_t i : readers) {
          if (appenders_[key].contains(i) && !At(i).read_committed) both.insert(i);
        }
        if (both.size() > 1) {
          Report(Anomaly::kLostUpdate, Name(*both.begin()) + " and " + Name(*both.rbegin()) +
                                           " both append to version " + std::to_string(length) +
                                           " of " + key);
        }
      }
    }
  }

  // -- Dependencies that no read shows

  void AddVersionOrder() {
    for (const auto& [key, list] : history_.at_the_end) {
      for (size_t at = 1; at < list.size(); ++at) {
        const auto before = WriterOf(list[at - 1]), after = WriterOf(list[at]);
        if (before && after) graph_.Add(*before, *after, Graph::kWW);
      }
    }
  }

  // A chain of moments instead of an edge for each pair: one for each end, from which the chain
  // goes on, and from the last moment before a begin an edge to who begins.
  void AddTime() {
    std::vector<size_t> by_begin, by_end;
    for (size_t i = 0; i < Count(); ++i) {
      if (!Committed(i)) continue;
      by_begin.push_back(i);
      if (At(i).outcome == HistoryTransaction::kCommitted) by_end.push_back(i);
    }
    std::ranges::sort(by_begin, {}, [&](size_t i) { return At(i).begin_ns; });
    std::ranges::sort(by_end, {}, [&](size_t i) { return At(i).end_ns; });
    std::optional<size_t> moment;
    size_t ended = 0;
    for (const size_t i : by_begin) {
      for (; ended < by_end.size() && At(by_end[ended]).end_ns < At(i).begin_ns; ++ended) {
        const size_t next = graph_.AddNode();
        if (moment) graph_.Add(*moment, next, Graph::kTime);
        graph_.Add(by_end[ended], next, Graph::kTime);
        moment = next;
      }
      if (moment) graph_.Add(*moment, i, Graph::kTime);
    }
  }

  // -- Cycles

  void Classify(const Graph::Component& component) {
    constexpr unsigned kWrites = Graph::kWW, kFlow = Graph::kWW | Graph::kWR;
    constexpr unsigned kAll = kFlow | Graph::kRW;
    bool any = ReportCycles(Anomaly::kG0, kWrites, component);
    any = any || ReportCycles(Anomaly::kG1c, kFlow, component);
    if (const auto cycle = graph_.CycleWithOne(Graph::kRW, kFlow, component)) {
      Report(Anomaly::kGSingle, Told(*cycle));
      return;
    }
    any = any || ReportCycles(Anomaly::kG2, kAll, component);
    if (!any) ReportCycles(Anomaly::kRealTime, kAll | Graph::kTime, component);
  }

  bool ReportCycles(Anomaly::Kind kind, unsigned kinds, const Graph::Component& among) {
    const auto parts = graph_.Components(kinds, among);
    for (const Graph::Component& part : parts) Report(kind, Told(graph_.AnyCycle(kinds, part)));
    return !parts.empty();
  }

  std::string Told(const Graph::Cycle& cycle) const {
    std::string text;
    for (const Graph::Edge& edge : cycle) {
      if (edge.from < Count()) text += Name(edge.from) + " ";
      if (edge.to < Count() || edge.kind != Graph::kTime) {
        text += edge.kind == Graph::kWW   ? "-ww-> "
                : edge.kind == Graph::kWR ? "-wr-> "
                : edge.kind == Graph::kRW ? "-rw-> "
                                          : "-before-> ";
      }
    }
    return text + "itself";
  }

  const History& history_;
  Graph graph_;
  std::vector<HistoryTransaction::Outcome> outcome_;  // none of them unknown
  std::unordered_map<Element, Writer> writers_;
  std::unordered_map<Element, size_t> place_;  // in the list at the end
  // By key: who saw it that long; who appended.
  std::map<std::string, std::map<size_t, std::vector<size_t>>> reads_;
  std::map<std::string, std::set<size_t>> appenders_;
  std::vector<Anomaly> anomalies_;
};

}  // namespace

std::string_view AnomalyName(Anomaly::Kind kind) {
  switch (kind) {
    case Anomaly::kNeverWritten:
      return "never written";
    case Anomaly::kDuplicate:
      return "duplicate";
    case Anomaly::kLostAppend:
      return "lost append";
    case Anomaly::kHalf:
      return "half a transaction";
    case Anomaly::kMisplaced:
      return "misplaced append";
    case Anomaly::kOrder:
      return "order of versions";
    case Anomaly::kInternal:
      return "internal";
    case Anomaly::kG0:
      return "G0";
    case Anomaly::kG1a:
      return "G1a";
    case Anomaly::kG1b:
      return "G1b";
    case Anomaly::kG1c:
      return "G1c";
    case Anomaly::kGSingle:
      return "G-single";
    case Anomaly::kLostUpdate:
      return "lost update";
    case Anomaly::kG2:
      return "G2";
    case Anomaly::kRealTime:
      return "real time";
  }
  return "";
}

std::vector<Anomaly> CheckHistory(const History& history) { return Checker(history).Run(); }

}  // namespace warren::test

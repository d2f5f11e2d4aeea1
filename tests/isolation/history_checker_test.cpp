// Does the checker find each anomaly in a history made for it, and none in a clean one?
//
// A history in text, a transaction a line, all at the same time unless a span is given:
//   0-10 committed: x+1 y=[2,3] x#4 x?     appends 1, reads y, sees 4 elements in x, sees that x is
//   end: x=[1] y=[2,3]
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/isolation/history_checker.h"

namespace warren::test {
namespace {

ElementList ListIn(const std::string& text) {
  ElementList list;
  std::stringstream numbers(text);
  for (std::string number; std::getline(numbers, number, ',');) {
    list.push_back(static_cast<Element>(std::stoul(number)));
  }
  return list;
}

HistoryEvent EventIn(const std::string& word) {
  const size_t at = word.find_first_of("+=#?");
  HistoryEvent event;
  event.key = word.substr(0, at);
  const std::string rest = word.substr(at + 1);
  switch (word[at]) {
    case '+':
      event.kind = HistoryEvent::kAppend;
      event.element = static_cast<Element>(std::stoul(rest));
      if (const size_t slash = rest.find('/'); slash != std::string::npos) {
        event.length = std::stoul(rest.substr(slash + 1));
      }
      break;
    case '=':
      event.list = ListIn(rest.substr(1, rest.size() - 2));
      break;
    case '#':
      event.kind = HistoryEvent::kLength;
      event.length = std::stoul(rest);
      break;
    default:
      event.kind = HistoryEvent::kPresent;
      break;
  }
  return event;
}

History HistoryIn(const std::string& text) {
  History history;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::stringstream words(line);
    std::string word;
    HistoryTransaction transaction{.begin_ns = 0, .end_ns = 1000};
    bool is_end = false;
    while (words >> word) {
      if (word == "end:") {
        is_end = true;
      } else if (word == "aborted:") {
        transaction.outcome = HistoryTransaction::kAborted;
      } else if (word == "unknown:") {
        transaction.outcome = HistoryTransaction::kUnknown;
      } else if (word == "read-committed:") {
        transaction.read_committed = true;
      } else if (word == "committed:") {
      } else if (const size_t dash = word.find('-'); dash != std::string::npos) {
        transaction.begin_ns = std::stoll(word.substr(0, dash));
        transaction.end_ns = std::stoll(word.substr(dash + 1));
      } else if (is_end) {
        const HistoryEvent event = EventIn(word);
        history.at_the_end[event.key] = event.list;
      } else {
        transaction.events.push_back(EventIn(word));
      }
    }
    if (!is_end && !line.empty()) history.transactions.push_back(std::move(transaction));
  }
  return history;
}

std::string Found(const std::string& text) {
  std::string names;
  for (const Anomaly& anomaly : CheckHistory(HistoryIn(text))) {
    INFO(anomaly.text);
    names += (names.empty() ? "" : ", ") + std::string(AnomalyName(anomaly.kind));
  }
  return names;
}

}  // namespace

TEST_CASE("a serial history is clean") {
  CHECK(Found("0-10 committed: x=[] x+1 y+2\n"
              "11-20 committed: x=[1] x+3 x=[1,3] y#1\n"
              "21-30 committed: x=[1,3] y=[2] y? z=[]\n"
              "end: x=[1,3] y=[2]") == "");
}

TEST_CASE("transactions at the same time are clean if some order of them fits") {
  CHECK(Found("committed: x=[1] y=[]\n"
              "committed: x+1 z+3\n"
              "committed: y+2 z=[3]\n"
              "end: x=[1] y=[2] z=[3]") == "");
}

TEST_CASE("aborted and unanswered transactions may have done nothing, the latter also everything") {
  CHECK(Found("aborted: x+1 y=[77]\nunknown: x+2 y+3\nunknown: x+4 z+5\n"
              "committed: x=[4]\nend: x=[4] z=[5]") == "");
}

TEST_CASE("an unanswered transaction may happen after whatever its client does next") {
  CHECK(Found("0-1 unknown: x+1\n2-3 committed: x=[]\n4-5 committed: x=[1]\nend: x=[1]") == "");
}

TEST_CASE("an unanswered transaction happens wholly or not at all") {
  CHECK(Found("unknown: x+1 y+2\nend: x=[1]") == "half a transaction, lost append");
}

TEST_CASE("an element from nowhere is found") {
  CHECK(Found("committed: x=[9]\nend: x=[9]").starts_with("never written"));
  CHECK(Found("committed: x+1\ncommitted: y=[1]\nend: x=[1] y=[1]").find("never written") !=
        std::string::npos);
  CHECK(Found("committed: x?\nend:") == "never written");
}

TEST_CASE("a lost append is found") {
  CHECK(Found("committed: x+1\ncommitted: x+2\nend: x=[2]") == "lost append");
}

TEST_CASE("an append that is there twice is found") {
  CHECK(Found("committed: x+1\nend: x=[1,1]").starts_with("duplicate"));
}

TEST_CASE("an append that was told a wrong length is found") {
  CHECK(Found("committed: x+1/1\nread-committed: x+2/1\nend: x=[1,2]") == "misplaced append");
}

TEST_CASE("reads that do not agree about the order of versions are found") {
  CHECK(Found("committed: x+1\ncommitted: x+2\ncommitted: x=[2,1]\nend: x=[1,2]") ==
        "order of versions");
}

TEST_CASE("a transaction that does not see what it did is found") {
  CHECK(Found("committed: x+1 x=[]\nend: x=[1]") == "internal");
}

TEST_CASE("a transaction that reads a key twice and differently is found") {
  const std::string reader = " x=[] x=[1]\ncommitted: x+1\nend: x=[1]";
  CHECK(Found("committed:" + reader).find("internal") != std::string::npos);
  CHECK(Found("committed:" + reader).find("G-single") != std::string::npos);
  CHECK(Found("read-committed:" + reader) == "");
}

TEST_CASE("G0, interleaved writes, is found") {
  CHECK(Found("committed: x+1 y+2\ncommitted: x+3 y+4\nend: x=[1,3] y=[4,2]") == "G0");
}

TEST_CASE("G1a, a read of an aborted transaction, is found") {
  CHECK(Found("aborted: x+1\ncommitted: x=[1]\nend: x=[]") == "G1a, order of versions");
  CHECK(Found("aborted: x+1\nend: x=[1]") == "G1a");
}

TEST_CASE("G1b, a read of the middle of a transaction, is found") {
  CHECK(Found("committed: x+1 x+2\nread-committed: x=[1]\nend: x=[1,2]") == "G1b");
  CHECK(Found("committed: x+1 x+2\ncommitted: x=[1]\nend: x=[1,2]") == "G1b, G-single");
}

TEST_CASE("G1c, two transactions that read from each other, is found") {
  CHECK(Found("committed: x+1 y=[2]\ncommitted: y+2 x=[1]\nend: x=[1] y=[2]") == "G1c");
  CHECK(Found("read-committed: x+1 y=[2]\nread-committed: y+2 x=[1]\nend: x=[1] y=[2]") == "G1c");
}

TEST_CASE("G-single, a read of half a transaction, is found") {
  const std::string others = " x=[1] y=[]\ncommitted: x+1 y+2\nend: x=[1] y=[2]";
  CHECK(Found("committed:" + others) == "G-single");
  CHECK(Found("read-committed:" + others) == "");
}

TEST_CASE("a lost update is found") {
  CHECK(Found("committed: x=[] x+1\ncommitted: x=[] x+2\nend: x=[1,2]") == "lost update, G-single");
}

TEST_CASE("G2, write skew, is found") {
  CHECK(Found("committed: x=[] y+1\ncommitted: y=[] x+2\nend: x=[2] y=[1]") == "G2");
}

TEST_CASE("G2 is found when it goes over three transactions and by lengths alone") {
  CHECK(Found("committed: x#0 y+1\ncommitted: y#0 z+2\ncommitted: z#0 x+3\n"
              "end: x=[3] y=[1] z=[2]") == "G2");
}

TEST_CASE("a phantom is found: a key that a scan did not see") {
  CHECK(Found("committed: a=[] b=[] c+1\ncommitted: c=[] a+2\nend: a=[2] c=[1]") == "G2");
}

TEST_CASE("a read that misses what was over before it began is a real-time violation") {
  CHECK(Found("0-10 committed: x+1\n20-30 committed: x=[]\nend: x=[1]") == "real time");
  CHECK(Found("0-20 committed: x+1\n20-30 committed: x=[]\nend: x=[1]") == "");
}

TEST_CASE("two clients that see two writes in different order are found by time alone") {
  CHECK(Found("0-100 committed: x+1 y+2\n"
              "10-20 committed: x=[1]\n30-40 committed: y=[]\nend: x=[1] y=[2]") == "real time");
}

TEST_CASE("an anomaly is found among thousands of clean transactions") {
  std::string text;
  ElementList list;
  std::string end;
  for (int i = 1; i <= 5000; ++i) {
    text += std::to_string(i * 10) + "-" + std::to_string(i * 10 + 15) + " committed: x+" +
            std::to_string(i) + "/" + std::to_string(i) + "\n";
    end += (end.empty() ? "" : ",") + std::to_string(i);
  }
  const std::string skew = "9000-9900 committed: p=[] q+9001\n9000-9900 committed: q=[] p+9002\n";
  const std::string the_end = "end: x=[" + end + "] p=[9002] q=[9001]";
  CHECK(Found(text + "9000-9900 committed: p+9002\n9000-9900 committed: q+9001\n" + the_end) == "");
  CHECK(Found(text + skew + the_end) == "G2");
}

}  // namespace warren::test

// What did clients ask and see? The record that history_checker.h judges.
//
// Values are lists: each append adds an element that nobody else ever writes, so that a value shows
// which appends came before it, in which order (the idea of Elle, the checker of histories).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace warren::test {

using Element = uint32_t;
using ElementList = std::vector<Element>;

struct HistoryEvent {
  enum Kind {
    kRead,     // saw `list`, own appends included
    kLength,   // saw that the list has `length` elements, own appends included
    kPresent,  // saw that there is at least one
    kAppend    // added `element`; `length` was told afterwards, unless it is 0
  };
  Kind kind = kRead;
  std::string key;
  ElementList list = {};
  size_t length = 0;
  Element element = 0;
};

struct HistoryTransaction {
  enum Outcome {
    kCommitted,
    kAborted,
    kUnknown  // the connection broke before the answer; it may still happen, at any later time
  };
  int client = 0;
  Outcome outcome = kCommitted;
  bool read_committed = false;  // may see each key at another moment
  // From before the first request was sent until after the last reply came.
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  std::vector<HistoryEvent> events = {};
  std::string about = {};  // how it was done, for people
};

struct History {
  std::vector<HistoryTransaction> transactions;
  std::map<std::string, ElementList> at_the_end;  // what all keys hold when everything is over
};

}  // namespace warren::test

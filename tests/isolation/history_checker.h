// Could all transactions of a history have happened one after the other, each after those that were
// over before it began (strict serialisability)?
//
// The lists at the end give the order of the versions of each key. From it follow the dependencies
// (Adya): ww, who wrote the version after mine; wr, who read mine; rw, who overwrote what I read;
// and time, who began after I was over. A cycle of these is what no serial order can have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/isolation/history.h"

namespace warren::test {

struct Anomaly {
  enum Kind {
    kNeverWritten,  // an element that nobody appended, or not to this key
    kDuplicate,     // one that is there twice
    kLostAppend,    // a committed append that is not there at the end
    kHalf,          // of a transaction without an answer a part is there, and a part isn't
    kMisplaced,     // an append was told a length that it did not have
    kOrder,         // a read shows another order than the end does
    kInternal,      // a transaction does not see its own appends, or the same key differently
    kG0,            // dirty write: a cycle of ww
    kG1a,           // aborted read: an element of an aborted transaction
    kG1b,           // intermediate read: some but not all that a transaction appended to the key
    kG1c,           // circular information flow: a cycle of ww and wr
    kGSingle,       // read skew, non-repeatable read: a cycle with one rw
    kLostUpdate,    // two read the same version and both appended to it
    kG2,            // write skew, phantom: a cycle with several rw
    kRealTime       // a cycle that needs time: somebody did not see what was over before
  };
  Kind kind;
  std::string text;
};

std::string_view AnomalyName(Anomaly::Kind kind);

// What is wrong, at most some dozens; empty if nothing is.
std::vector<Anomaly> CheckHistory(const History& history);

}  // namespace warren::test

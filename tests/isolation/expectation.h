// Which reply does a scenario expect, and is this one it?
//
//   OK  QUEUED          a status            "text"        a string
//   42                  an integer          nil           no value (also the nil array)
//   -DEADLOCK *key*     an error; * stands for anything, and so does whatever follows
//   [1 "b" nil]         an array            {"a" "b"}     the same in any order
//   *                   any reply, but not a closed connection
//   closed              the connection was closed instead
//   done                an action of the runner (@...) succeeded
//   $name               any integer or string, remembered as `name`
//   >$name              an integer larger than the remembered one
//   =$name              the remembered one again
// Inside an array an error's pattern ends at the next blank or bracket.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {

using Variables = std::map<std::string, std::string>;

struct Expectation {
  enum Kind {
    kStatus,
    kInteger,
    kString,
    kNil,
    kError,
    kArray,
    kAnyOrder,
    kAnything,
    kClosed,
    kDone,
    kRemember,
    kLarger,
    kSame
  };
  Kind kind = kAnything;
  std::string text;
  std::vector<Expectation> elements;

  // Throws std::runtime_error with what is wrong.
  static Expectation Parse(std::string_view text);
  // May set a variable, if it matches.
  bool Matches(const Reply& reply, Variables& variables) const;
};

// In the notation above.
std::string ToText(const Reply& reply);

// `*` in the pattern stands for any text.
bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace warren::test

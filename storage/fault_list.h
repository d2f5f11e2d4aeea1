// What was found to be wrong, and where?
//
// Each fault is one line that begins with the file, then page or log position, and ends with the
// byte offset in the file: data file "base/main" page 7: its root flag is wrong (offset 57366).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

class FaultList {
 public:
  // The same line twice counts once.
  void Add(std::string line);
  // In the data file; the byte is counted from the page's start.
  void AddPage(PageNo page_no, uint32_t byte, std::string_view what);
  // An error of a page that could not be read: it names the page already.
  void AddUnreadable(PageNo page_no, const Error& error);

  bool empty() const { return count_ == 0; }
  uint64_t count() const { return count_; }
  // An error that names its place, unless a fault has been noted that begins with the same words.
  void AddError(const Error& error);

  // The first kKept of them, in the order found.
  const std::vector<std::string>& lines() const { return lines_; }
  // kCorrupt with the first one, if there is any.
  Status AsStatus() const;

  static constexpr size_t kKept = 1000;

 private:
  std::vector<std::string> lines_;
  std::set<std::string> seen_;
  uint64_t count_ = 0;
};

// What a check returns that was told not to go on.
inline Status CheckStopped() { return MakeError(ErrorCode::kShutdown, "the check was stopped"); }

}  // namespace warren

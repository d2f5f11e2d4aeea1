// Which changes does a commit make, and in which order?
//
// First the emptying of databases, then one change for each key, in key order: of several for a key
// the last one. A repetition could otherwise link a chain that the same commit has replaced
// already.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "storage/commit.h"
#include "storage/commit_record.h"

namespace warren {

// Views into what `ops` refers to. kCorrupt, kIo: the catalog can't be read.
Result<std::vector<LoggedChange>> PlanChanges(std::span<const CommitOp> ops);

}  // namespace warren

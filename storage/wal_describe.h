// What does a log record say, for people?
//
// Follows the leaves whose whole content the log brings, so that an erased key can be named, too:
// its record has only the cell's place.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "storage/record.h"
#include "storage/wal_reader.h"

namespace warren {

struct WalDescription {
  std::string type;           // one of WalTypeNames
  std::vector<PageNo> pages;  // that it changes, or whose state in the map it changes
  std::vector<std::string> keys;
  std::string text;  // everything but type and position, on one line
};

// Of all records that can be in a log.
std::vector<std::string> WalTypeNames();

class WalDescriber {
 public:
  // The log's records in order; kCorrupt: valid, but not to be made sense of.
  Result<WalDescription> Describe(const WalRecord& record);

 private:
  struct Page {
    alignas(8) std::byte bytes[kPageBytes];
  };
  Result<WalDescription> DescribePageChange(const WalRecord& record);
  void DescribeKeys(RecordView view, WalDescription& description) const;
  void Follow(RecordView view, const PageRef& ref, std::span<const std::byte> image, Lsn lsn);

  std::unordered_map<PageNo, std::unique_ptr<Page>> leaves_;
};

// The bytes in quotes; what does not print as \xNN.
std::string QuoteBytes(std::string_view bytes);

}  // namespace warren

// What does the log say, from a given record on?
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "storage/wal_format.h"

namespace warren {

struct WalRecord {
  Lsn begin = 0;
  Lsn end = 0;  // aligned; the LSN its pages bear
  WalRecordHeader header{};
  std::span<const std::byte> head;  // valid until the next Next()
  std::span<const std::byte> tail;
};

class WalReader {
 public:
  // `from` is where a record begins, or a segment. A segment of another system than `system_id`
  // ends the log (0: any system's will do).
  explicit WalReader(Lsn from, uint64_t system_id = 0);

  // The next record that is not the log's own; nothing at the log's end. kIo: a file could not be
  // read, which says nothing about where the log ends.
  Result<std::optional<WalRecord>> Next();
  // The same with the log's own records.
  Result<std::optional<WalRecord>> NextOfAll();

  // The end of the last valid record: where the log goes on.
  Lsn position() const { return position_; }
  // Of the last valid record.
  uint32_t start_count() const { return start_count_; }
  // Why the last Next() brought nothing, e.g. "checksum mismatch at 0x1000040".
  const std::string& end_reason() const { return end_reason_; }

 private:
  // Bytes [at, at + size) of one segment; fewer if the file ends.
  Result<std::span<const std::byte>> Fetch(Lsn at, size_t size);
  // The record at `at`, the log's own included; nothing, with end_reason_ set, if there is none.
  Result<std::optional<WalRecord>> ReadAt(Lsn at);

  Lsn position_;
  uint64_t system_id_;
  uint32_t start_count_ = 0;
  std::string end_reason_;
  std::vector<std::byte> buffer_;
  Lsn buffer_begin_ = 0;
  size_t buffer_bytes_ = 0;
};

}  // namespace warren

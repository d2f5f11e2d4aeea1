// What does warren.control say?
//
// One small file, replaced as a whole (base/file.h), so that it is either the old or the new one.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

enum class DirectoryState : uint32_t { kClean = 1, kInUse = 2 };

struct ControlData {
  char magic[8];            // kControlMagic
  uint32_t format_version;  // kFormatVersion (page.h); checked before the checksum
  DirectoryState state;
  uint64_t system_id;    // random, made by Init; the data file bears it, too
  uint64_t start_count;  // raised by each start
  Lsn redo_begin;        // the newest complete checkpoint's record; a new log: kFirstLsn
  uint32_t databases;
  uint32_t reserved;
  uint64_t checksum;  // XXH3 of the bytes before it
};
static_assert(sizeof(ControlData) == 56);
inline constexpr char kControlMagic[9] = "WARRENCT";

std::string ControlPath(const std::string& directory);

// Sets magic, version and checksum, and writes the file durably.
Status WriteControl(const std::string& directory, ControlData control);

// kCorrupt names file and offset of what is wrong.
Result<ControlData> ReadControl(const std::string& directory);

}  // namespace warren

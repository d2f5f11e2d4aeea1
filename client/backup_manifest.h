// What is in a backup?
//
//   base/main      the data file's pages as they were read, one after the other
//   wal/NUMBER     the log's files from the start on; the last one ends at the stop
//   backup.json    this manifest, written last: without it a backup was not finished
//
// A tar stream has the same files in the same order. The manifest's `checksum` is XXH3 of the rest
// of it, each file's is XXH3 of its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

inline constexpr std::string_view kManifestName = "backup.json";
inline constexpr std::string_view kDataFileName = "base/main";
inline constexpr std::string_view kLogPrefix = "wal/";

struct BackupFile {
  std::string path;
  uint64_t bytes = 0;
  uint64_t checksum = 0;
};

struct BackupManifest {
  std::string program_version;
  uint32_t format_version = 0;
  uint64_t page_bytes = 0;
  uint64_t segment_bytes = 0;
  uint64_t system_id = 0;
  uint64_t start_count = 0;  // of the server run that was copied
  uint32_t databases = 0;
  Lsn log_begin_lsn = 0;  // redo needs the log from here on
  Lsn start_lsn = 0;      // begins here
  Lsn stop_lsn = 0;       // and must come as far as this for the pages to fit together
  int64_t start_us = 0;
  int64_t stop_us = 0;
  std::vector<PageNo> damaged_pages;  // their checksums did not fit when they were read
  std::vector<BackupFile> files;
};

std::string ToJson(const BackupManifest& manifest);

// kCorrupt says which member is missing or wrong, or that the checksum does not fit.
Result<BackupManifest> ParseManifest(std::string_view json);

// The log file with this number: "wal/00000000000000a1".
std::string BackupLogPath(uint64_t segment_no);

}  // namespace warren

// The manifest of a backup: written, read, and refused when it is not what was written.
#include "client/backup_manifest.h"

#include <doctest/doctest.h>

namespace warren {
namespace {

BackupManifest Example() {
  return {.program_version = "1.2.3",
          .format_version = 1,
          .page_bytes = 8192,
          .segment_bytes = 16 << 20,
          .system_id = 0xfedcba9876543210,
          .start_count = 7,
          .databases = 16,
          .log_begin_lsn = 0x1000028,
          .start_lsn = 0x1000030,
          .stop_lsn = 0x2000000,
          .start_us = 1'000'000'000'000'000,
          .stop_us = 1'000'000'000'500'000,
          .damaged_pages = {3, 9},
          .files = {{"base/main", 81920, 0xffffffffffffffff}, {BackupLogPath(1), 100, 1}}};
}

std::string ParseError(const std::string& json) {
  const auto manifest = ParseManifest(json);
  return manifest.ok() ? "" : manifest.error().message;
}

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a manifest is read back as it was written") {
  const auto read = ParseManifest(ToJson(Example()));
  REQUIRE(read.ok());
  CHECK(ToJson(*read) == ToJson(Example()));
  CHECK(read->system_id == 0xfedcba9876543210);
  CHECK(read->log_begin_lsn == 0x1000028);
  CHECK(read->start_lsn == 0x1000030);
  CHECK(read->damaged_pages == std::vector<PageNo>{3, 9});
  REQUIRE(read->files.size() == 2);
  CHECK(read->files[1].path == "wal/0000000000000001");
  CHECK(read->files[0].checksum == 0xffffffffffffffff);
}

TEST_CASE("a manifest in which anything was changed is refused") {
  const std::string json = ToJson(Example());
  for (const std::string_view part : {"1.2.3", "0x1000030", "81920", "[\n    3", "1000000000.5"}) {
    std::string changed = json;
    const size_t at = changed.find(part);
    if (at == std::string::npos) continue;
    char& byte = changed[at + part.size() - 1];
    byte = byte == '1' ? '2' : '1';
    CHECK(Contains(ParseError(changed), "checksum mismatch"));
  }
}

TEST_CASE("what is no manifest is refused with the reason") {
  CHECK(Contains(ParseError(""), "not a JSON object"));
  CHECK(Contains(ParseError("{"), "not a JSON object"));
  CHECK(Contains(ParseError("[1]"), "not a JSON object"));
  CHECK(Contains(ParseError("{}"), "format"));
  CHECK(Contains(ParseError(R"({"format": 5})"), "not the manifest"));
  CHECK(Contains(ParseError(R"({"format": "warren backup"})"), "manifest_version"));
  CHECK(Contains(ParseError(R"({"format": "warren backup", "manifest_version": 9})"),
                 "version 9, this program reads version 2"));
  CHECK(Contains(
      ParseError(
          R"({"format": "warren backup", "manifest_version": 2, "checksum": "not hexadecimal"})"),
      "\"checksum\" is not a hexadecimal number"));
}

}  // namespace warren

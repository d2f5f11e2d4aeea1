#include "client/backup_manifest.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/checksum.h"
#include "base/iso_time.h"

namespace warren {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "warren backup";
constexpr int kManifestVersion = 2;

// 64 bits don't fit into the numbers of many JSON readers.
std::string Hex(uint64_t value) { return fmt::format("{:016x}", value); }
std::string LsnText(Lsn lsn) { return fmt::format("{:#x}", lsn); }

uint64_t FromHex(const Json& json, const char* name) {
  const std::string text = json.at(name).get<std::string>();
  const std::string_view digits =
      text.starts_with("0x") ? std::string_view(text).substr(2) : std::string_view(text);
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error == std::errc() && end == digits.data() + digits.size()) return value;
  throw Json::other_error::create(501, fmt::format("\"{}\" is not a hexadecimal number", name),
                                  &json);
}

uint64_t ChecksumOf(const Json& without_checksum) {
  const std::string text = without_checksum.dump();
  return Checksum64(std::as_bytes(std::span(text)), 0);
}

// Throws Json's exceptions.
BackupManifest FromJson(const Json& json) {
  BackupManifest manifest;
  manifest.program_version = json.at("program_version").get<std::string>();
  manifest.format_version = json.at("format_version").get<uint32_t>();
  manifest.page_bytes = json.at("page_bytes").get<uint64_t>();
  manifest.segment_bytes = json.at("segment_bytes").get<uint64_t>();
  manifest.system_id = FromHex(json, "system_id");
  manifest.start_count = json.at("start_count").get<uint64_t>();
  manifest.databases = json.at("databases").get<uint32_t>();
  manifest.log_begin_lsn = FromHex(json, "log_begin_lsn");
  manifest.start_lsn = FromHex(json, "start_lsn");
  manifest.stop_lsn = FromHex(json, "stop_lsn");
  manifest.start_us = json.at("start_us").get<int64_t>();
  manifest.stop_us = json.at("stop_us").get<int64_t>();
  manifest.damaged_pages = json.at("damaged_pages").get<std::vector<PageNo>>();
  for (const Json& file : json.at("files")) {
    manifest.files.push_back({.path = file.at("path").get<std::string>(),
                              .bytes = file.at("bytes").get<uint64_t>(),
                              .checksum = FromHex(file, "xxh3")});
  }
  return manifest;
}

}  // namespace

std::string ToJson(const BackupManifest& manifest) {
  Json files = Json::array();
  for (const BackupFile& file : manifest.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"xxh3", Hex(file.checksum)}});
  }
  Json json = {
      {"format", kFormat},
      {"manifest_version", kManifestVersion},
      {"program_version", manifest.program_version},
      {"format_version", manifest.format_version},
      {"page_bytes", manifest.page_bytes},
      {"segment_bytes", manifest.segment_bytes},
      {"system_id", Hex(manifest.system_id)},
      {"start_count", manifest.start_count},
      {"databases", manifest.databases},
      {"log_begin_lsn", LsnText(manifest.log_begin_lsn)},
      {"start_lsn", LsnText(manifest.start_lsn)},
      {"stop_lsn", LsnText(manifest.stop_lsn)},
      {"start_time", FormatUtc(manifest.start_us)},
      {"stop_time", FormatUtc(manifest.stop_us)},
      {"start_us", manifest.start_us},
      {"stop_us", manifest.stop_us},
      {"damaged_pages", manifest.damaged_pages},
      {"files", std::move(files)},
  };
  json["checksum"] = Hex(ChecksumOf(json));
  return json.dump(2) + "\n";
}

Result<BackupManifest> ParseManifest(std::string_view text) {
  const auto wrong = [](std::string_view why) {
    return MakeError(ErrorCode::kCorrupt, "backup manifest \"{}\": {}", kManifestName, why);
  };
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return wrong("not a JSON object");
  try {
    if (json.at("format") != kFormat) return wrong("not the manifest of a backup of Warren");
    if (json.at("manifest_version").get<int>() != kManifestVersion) {
      return wrong(fmt::format("version {}, this program reads version {}",
                               json.at("manifest_version").dump(), kManifestVersion));
    }
    const uint64_t found = FromHex(json, "checksum");
    json.erase("checksum");
    if (const uint64_t expected = ChecksumOf(json); found != expected) {
      return wrong(
          fmt::format("checksum mismatch, expected {:#018x} found {:#018x}", expected, found));
    }
    return FromJson(json);
  } catch (const Json::exception& exception) {
    return wrong(exception.what());
  }
}

std::string BackupLogPath(uint64_t segment_no) {
  return fmt::format("{}{:016x}", kLogPrefix, segment_no);
}

}  // namespace warren

#include "postmaster/wal_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>

#include "base/glob.h"
#include "postmaster/control.h"
#include "storage/data_directory.h"
#include "storage/lsn_text.h"
#include "storage/wal_describe.h"
#include "storage/wal_reader.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

struct Filter {
  Lsn start = 0;
  Lsn end = std::numeric_limits<Lsn>::max();
  std::vector<std::string> types;
  std::vector<PageNo> pages;
  std::string key;

  bool Wants(const WalRecord& record, const WalDescription& description) const {
    const auto matches = [this](const std::string& name) { return GlobMatch(key, name); };
    return record.begin >= start &&
           (types.empty() || std::ranges::count(types, description.type) > 0) &&
           (pages.empty() ||
            std::ranges::find_first_of(description.pages, pages) != description.pages.end()) &&
           (key.empty() || std::ranges::any_of(description.keys, matches));
  }
};

Result<Lsn> ParsePosition(const std::string& option, const std::string& text) {
  const std::optional<Lsn> lsn = ParseLsn(text);
  if (lsn.has_value()) return *lsn;
  return MakeError(ErrorCode::kGeneric, "{}: \"{}\" is no log position, one looks like {}", option,
                   text, FormatLsn(kFirstLsn));
}

Result<std::string> ParseType(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '_' || c == '-'; }, ' ');
  const std::vector<std::string> names = WalTypeNames();
  if (std::ranges::count(names, text) > 0) return text;
  return MakeError(ErrorCode::kGeneric, "--type: there is no \"{}\", there are: {}", text,
                   fmt::join(names, ", "));
}

Result<PageNo> ParsePage(const std::string& text) {
  PageNo page_no = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), page_no);
  if (error == std::errc() && end == text.data() + text.size()) return page_no;
  return MakeError(ErrorCode::kGeneric, "--page: \"{}\" is no page number", text);
}

Result<Filter> MakeFilter(const WalDumpOptions& options) {
  Filter filter;
  filter.key = options.key;
  if (!options.start.empty()) {
    ASSIGN_OR_RETURN(filter.start, ParsePosition("--start", options.start));
  }
  if (!options.end.empty()) {
    ASSIGN_OR_RETURN(filter.end, ParsePosition("--end", options.end));
  }
  if (filter.end < filter.start) {
    return MakeError(ErrorCode::kGeneric, "--end {} lies before --start {}", options.end,
                     options.start);
  }
  for (const std::string& text : options.types) {
    ASSIGN_OR_RETURN(std::string type, ParseType(text));
    filter.types.push_back(std::move(type));
  }
  for (const std::string& text : options.pages) {
    ASSIGN_OR_RETURN(const PageNo page_no, ParsePage(text));
    filter.pages.push_back(page_no);
  }
  return filter;
}

// The segment to read from: that of `start`, or the oldest one.
Result<Lsn> FirstSegment(const std::string& directory, Lsn start) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, WalSegments::List());
  if (segments.empty()) {
    return MakeError(ErrorCode::kGeneric, "data directory \"{}\": there is no log in it",
                     directory);
  }
  if (start == 0) return segments.front() * kSegmentBytes;
  if (std::ranges::count(segments, SegmentOf(start)) == 0) {
    return MakeError(ErrorCode::kGeneric,
                     "data directory \"{}\": the log has no segment {} for position {}, the oldest "
                     "one is {}",
                     directory, WalSegmentName(SegmentOf(start)), FormatLsn(start),
                     WalSegmentName(segments.front()));
  }
  return start - SegmentOffset(start);
}

Status Dump(const WalDumpOptions& options) {
  ASSIGN_OR_RETURN(const Filter filter, MakeFilter(options));
  ASSIGN_OR_RETURN(const DataDirectory::Kind kind, DataDirectory::Inspect(options.directory));
  if (kind != DataDirectory::Kind::kWarren) {
    return MakeError(ErrorCode::kGeneric, "\"{}\" is not a data directory of Warren",
                     options.directory);
  }
  WalSegments::Bind(DataDirectory::WalPath(options.directory));
  ASSIGN_OR_RETURN(const Lsn from, FirstSegment(options.directory, filter.start));
  WalReader reader(from);
  WalDescriber describer;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.NextOfAll());
    if (!record.has_value()) break;
    if (record->begin >= filter.end) {
      fmt::print("stopped at {}, as --end says\n", FormatLsn(record->begin));
      return {};
    }
    ASSIGN_OR_RETURN(const WalDescription description, describer.Describe(*record));
    if (!filter.Wants(*record, description)) continue;
    fmt::print("{} {} bytes, start {}: {}, {}\n", FormatLsn(record->begin), record->header.bytes,
               record->header.start_count, description.type, description.text);
  }
  fmt::print("the log ends there: {}\n", reader.end_reason());
  return {};
}

}  // namespace

int DumpWal(const WalDumpOptions& options) {
  const Status status = Dump(options);
  if (status.ok()) return kExitOk;
  fmt::print(stderr, "warren: {}\n", status.error().message);
  return kExitFailed;
}

}  // namespace warren

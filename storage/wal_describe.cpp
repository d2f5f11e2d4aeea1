#include "storage/wal_describe.h"

#include <algorithm>
#include <cstring>

#include "storage/checkpoint.h"
#include "storage/commit_record.h"
#include "storage/fencing.h"
#include "storage/lsn_text.h"
#include "storage/node.h"
#include "storage/page_images.h"
#include "storage/wal_format.h"
#include "storage/wal_time.h"

namespace warren {
namespace {

constexpr std::string_view kPadName = "pad";
constexpr std::string_view kSegmentStartName = "segment start";
constexpr std::string_view kCheckpointName = "checkpoint";
constexpr std::string_view kTimeMarkName = "time mark";
constexpr std::string_view kCommitChunkName = "commit chunk";
constexpr std::string_view kCommitName = "commit";
constexpr std::string_view kCommitEndName = "commit end";
constexpr std::string_view kTokenLimitName = "token limit";

// Leaves that are followed at most, 256 MiB; beyond that all are forgotten.
constexpr size_t kMostLeaves = 32768;

std::string_view TextAt(const std::byte* at, size_t bytes) {
  return {reinterpret_cast<const char*>(at), bytes};
}

Lsn BeginOfCommit(const WalRecord& record) {
  const Result<Lsn> first = FirstRecordOf(record);
  return first.ok() ? *first : 0;
}

uint64_t LimitIn(const WalRecord& record) {
  TokenLimit limit{};
  std::memcpy(&limit, record.head.data(), std::min(record.head.size(), sizeof limit));
  return limit.limit;
}

std::string DescribeChange(const LoggedChange& change) {
  const std::string key = QuoteBytes(change.key);
  switch (change.kind) {
    case CommitOp::kEmptyDatabase:
      return fmt::format(", database {}: empty it", change.database);
    case CommitOp::kErase:
      return fmt::format(", database {}: erase {}", change.database, key);
    case CommitOp::kSetExpiry:
      return fmt::format(", database {}: {} expires at {} ms", change.database, key,
                         change.expire_at_ms);
    default:
      return fmt::format(
          ", database {}: put {}, value of {} bytes{}", change.database, key,
          change.head != kNoPage ? change.chain_bytes : change.value.size(),
          change.head != kNoPage ? fmt::format(" in the chain of page {}", change.head) : "");
  }
}

Result<WalDescription> DescribeCommit(const WalRecord& record) {
  const bool is_chunk = record.header.type == kCommitChunk;
  WalDescription description{.type = std::string(is_chunk ? kCommitChunkName : kCommitName),
                             .pages = {},
                             .keys = {},
                             .text = {}};
  std::vector<LoggedChange> changes;
  ASSIGN_OR_RETURN(const CommitHead head, DecodeCommit(record.head, &changes));
  description.text = head.first_lsn == 0
                         ? fmt::format("{} changes", head.count)
                         : fmt::format("{} changes of the commit at {}, behind {}", head.count,
                                       FormatLsn(head.first_lsn), head.preceding);
  for (const LoggedChange& change : changes) {
    if (change.kind != CommitOp::kEmptyDatabase) description.keys.emplace_back(change.key);
    description.text += DescribeChange(change);
  }
  return description;
}

WalDescription DescribeOther(const WalRecord& record) {
  WalDescription description;
  switch (record.header.type) {
    case static_cast<uint8_t>(WalOwnType::kPad):
      description.type = kPadName;
      description.text = "fills the rest of the segment";
      break;
    case static_cast<uint8_t>(WalOwnType::kSegmentStart):
      description.type = kSegmentStartName;
      description.text = fmt::format("segment {}", WalSegmentName(SegmentOf(record.begin)));
      break;
    case kTimeMark:
      description.type = kTimeMarkName;
      description.text = fmt::format("{} us since 1970", TimeOf(record).value_or(0));
      break;
    case kCheckpoint: {
      description.type = kCheckpointName;
      const uint64_t databases =
          (record.head.size() - sizeof(CheckpointHead)) / sizeof(CheckpointCount);
      description.text = fmt::format("{} us since 1970, counts of {} databases",
                                     TimeOf(record).value_or(0), databases);
      if (const auto head = ReadCheckpointHead(record.head);
          head.ok() && head->oldest_commit != 0) {
        description.text += fmt::format(", the oldest commit under way begins at {}",
                                        FormatLsn(head->oldest_commit));
      }
      break;
    }
    case kCommitEnd:
      description.type = kCommitEndName;
      description.text = fmt::format("of the commit at {}", FormatLsn(BeginOfCommit(record)));
      break;
    case kTokenLimit:
      description.type = kTokenLimitName;
      description.text = fmt::format("fencing tokens below {}", LimitIn(record));
      break;
    default:
      description.type = fmt::format("type {}", record.header.type);
  }
  return description;
}

}  // namespace

std::vector<std::string> WalTypeNames() {
  std::vector<std::string> names = {std::string(kPadName),         std::string(kSegmentStartName),
                                    std::string(kCheckpointName),  std::string(kTimeMarkName),
                                    std::string(kCommitChunkName), std::string(kCommitName),
                                    std::string(kCommitEndName),   std::string(kTokenLimitName)};
#define WARREN_RECORD(id, name, apply, help) names.emplace_back(name);
#include "storage/record_list.def"
#undef WARREN_RECORD
  return names;
}

std::string QuoteBytes(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  return text + "\"";
}

Result<WalDescription> WalDescriber::Describe(const WalRecord& record) {
  const uint8_t type = record.header.type;
  if (type == kPageChange) return DescribePageChange(record);
  if (type == kCommitChunk || type == kCommit) return DescribeCommit(record);
  return DescribeOther(record);
}

Result<WalDescription> WalDescriber::DescribePageChange(const WalRecord& record) {
  const RecordView view(record.head.data());
  if (record.head.size() < sizeof(RecordHeader) || view.header().bytes != record.head.size() ||
      view.header().page_count > kMaxRecordPages) {
    return MakeError(ErrorCode::kCorrupt, "record at {:#x}: not a page change", record.begin);
  }
  ASSIGN_OR_RETURN(const FoundImages images, ReadImages(record.header.flags, record.tail));
  const RecordHeader& header = view.header();
  WalDescription description{.type = std::string(RecordTypeName(header.type)),
                             .pages = {},
                             .keys = {},
                             .text = fmt::format("database {}", header.database)};
  for (size_t i = 0; i < view.pages().size(); ++i) {
    const PageRef& ref = view.pages()[i];
    description.pages.push_back(ref.page_no);
    description.text += fmt::format(", {} {}", PageRoleName(ref.role), ref.page_no);
    if (!images[i].empty()) description.text += fmt::format(" (image, {} bytes)", images[i].size());
  }
  for (const MapChange& change : view.map_changes()) {
    description.pages.push_back(change.page_no);
    description.text += fmt::format(", {} becomes {}", change.page_no, PageStateName(change.state));
  }
  DescribeKeys(view, description);
  if ((header.flags & kCountsFlag) != 0) {
    description.text +=
        fmt::format(", then {} keys, {} with an expiry", header.keys_after, header.expires_after);
  }
  for (size_t i = 0; i < view.pages().size(); ++i) {
    Follow(view, view.pages()[i], images[i], record.end);
  }
  return description;
}

void WalDescriber::DescribeKeys(RecordView view, WalDescription& description) const {
  const auto add = [&](std::string_view what, std::string_view key) {
    description.keys.emplace_back(key);
    description.text += fmt::format(", {} {}", what, QuoteBytes(key));
  };
  const auto add_cell = [&](const LeafCell& cell) {
    add("key", cell.key());
    description.text += fmt::format(", value of {} bytes", cell.value_bytes());
    if (cell.has_expiry())
      description.text += fmt::format(", expires at {} ms", cell.expire_at_ms());
  };
  switch (view.header().type) {
    case RecordType::kLeafPut:
      add_cell(LeafCell(view.tail<LeafPutPayload>()));
      break;
    case RecordType::kLeafPuts:
      ForEachPut(view, [&](const PageRef&, const LeafPutPayload&, const std::byte* cell) {
        add_cell(LeafCell(cell));
        return true;
      });
      break;
    case RecordType::kLeafErase: {
      const auto leaf = leaves_.find(view.pages()[0].page_no);
      const uint32_t slot = view.payload<LeafErasePayload>().slot;
      if (leaf != leaves_.end()) {
        add("key", NodeView(leaf->second->bytes).Key(slot));
      } else {
        description.text += fmt::format(", cell {}", slot);
      }
      break;
    }
    case RecordType::kSplit:
      add("at", TextAt(view.tail<SplitPayload>(), view.payload<SplitPayload>().separator_bytes));
      break;
    case RecordType::kInnerInsert:
      add("at",
          TextAt(view.tail<InnerInsertPayload>(), view.payload<InnerInsertPayload>().key_bytes));
      break;
    default:
      break;
  }
}

// A leaf is known from its image or its making on.
void WalDescriber::Follow(RecordView view, const PageRef& ref, std::span<const std::byte> image,
                          Lsn lsn) {
  if (ref.role == PageRole::kNewPage || !image.empty()) {
    if (leaves_.size() >= kMostLeaves) leaves_.clear();
    auto page = std::make_unique<Page>();
    if (!image.empty()) InstallImage(image, page->bytes);
    ApplyRecord(view, ref, page->bytes, lsn);
    if (HeaderOf(page->bytes).type == PageType::kLeaf) {
      leaves_[ref.page_no] = std::move(page);
    } else {
      leaves_.erase(ref.page_no);
    }
    return;
  }
  const auto leaf = leaves_.find(ref.page_no);
  if (leaf != leaves_.end()) ApplyRecord(view, ref, leaf->second->bytes, lsn);
}

}  // namespace warren

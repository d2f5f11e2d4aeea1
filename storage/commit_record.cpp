#include "storage/commit_record.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/check.h"
#include "storage/page.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

constexpr uint8_t kHasExpiry = 1;
constexpr uint8_t kHasChain = 2;
constexpr size_t kLeastCapacity = 2048;

struct ChangeHead {
  uint8_t kind;
  uint8_t flags;
  uint16_t database;
  uint16_t key_bytes;
  uint16_t value_bytes;
};
static_assert(sizeof(ChangeHead) == 8);

struct ChainReference {
  uint64_t bytes;
  PageNo head;
} __attribute__((packed));

Error Senseless(std::string_view what) {
  return MakeError(ErrorCode::kCorrupt, "record of a commit: {}", what);
}

// Takes bytes from the front of a record.
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : rest_(bytes) {}
  explicit Decoder(std::string_view bytes) : rest_(std::as_bytes(std::span(bytes))) {}

  template <typename T>
  bool Take(T& value) {
    if (rest_.size() < sizeof value) return false;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return true;
  }
  bool Take(std::string_view& text, size_t bytes) {
    if (rest_.size() < bytes) return false;
    text = {reinterpret_cast<const char*>(rest_.data()), bytes};
    rest_ = rest_.subspan(bytes);
    return true;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

bool DecodeChange(Decoder& from, LoggedChange& change) {
  ChangeHead head;
  std::string_view value;
  if (!from.Take(head) || !from.Take(change.key, head.key_bytes)) return false;
  if ((head.flags & kHasExpiry) != 0 && !from.Take(change.expire_at_ms)) return false;
  if (!from.Take(value, head.value_bytes)) return false;
  if (head.kind < CommitOp::kEmptyDatabase || head.kind > CommitOp::kSetExpiry) return false;
  change.kind = static_cast<CommitOp::Kind>(head.kind);
  change.database = head.database;
  if (change.kind == CommitOp::kEmptyDatabase) return Decoder(value).Take(change.incarnation);
  if ((head.flags & kHasChain) == 0) {
    change.value = value;
    return true;
  }
  ChainReference reference;
  if (!Decoder(value).Take(reference)) return false;
  change.head = reference.head;
  change.chain_bytes = reference.bytes;
  return true;
}

}  // namespace

CommitEncoder::CommitEncoder(int64_t now_ms) { head_.now_ms = now_ms; }

std::byte* CommitEncoder::Extend(size_t bytes) {
  const size_t begin = used_;
  used_ += bytes;
  if (used_ > capacity_) {
    capacity_ = std::min(std::max({used_, 2 * capacity_, kLeastCapacity}), kMaxCommitRecordBytes);
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity_);
    if (bytes_ != nullptr) std::memcpy(larger.get(), bytes_.get(), begin);
    bytes_ = std::move(larger);
  }
  return bytes_.get() + begin;
}

bool CommitEncoder::Add(const LoggedChange& change) {
  const ChainReference reference{.bytes = change.chain_bytes, .head = change.head};
  std::string_view value = change.value;
  if (change.kind == CommitOp::kEmptyDatabase) {
    value = {reinterpret_cast<const char*>(&change.incarnation), sizeof change.incarnation};
  } else if (change.head != kNoPage) {
    value = {reinterpret_cast<const char*>(&reference), sizeof reference};
  }
  const bool expires = change.expire_at_ms != 0;
  const size_t bytes =
      sizeof(ChangeHead) + change.key.size() + (expires ? sizeof(int64_t) : 0) + value.size();
  if (used_ + bytes > kMaxCommitRecordBytes) return false;
  const ChangeHead head{.kind = change.kind,
                        .flags = static_cast<uint8_t>((expires ? kHasExpiry : 0) |
                                                      (change.head != kNoPage ? kHasChain : 0)),
                        .database = static_cast<uint16_t>(change.database),
                        .key_bytes = static_cast<uint16_t>(change.key.size()),
                        .value_bytes = static_cast<uint16_t>(value.size())};
  std::byte* to = Extend(bytes);
  const auto append = [&to](const void* from, size_t count) {
    if (count != 0) std::memcpy(to, from, count);
    to += count;
  };
  append(&head, sizeof head);
  append(change.key.data(), change.key.size());
  if (expires) append(&change.expire_at_ms, sizeof change.expire_at_ms);
  append(value.data(), value.size());
  ++head_.count;
  return true;
}

std::span<const std::byte> CommitEncoder::Finish(Lsn first_lsn) {
  head_.first_lsn = first_lsn;
  if (used_ == sizeof head_) (void)Extend(0);
  std::memcpy(bytes_.get(), &head_, sizeof head_);
  return {bytes_.get(), used_};
}

void CommitEncoder::Next() {
  ++head_.sequence;
  head_.preceding += head_.count;
  head_.count = 0;
  used_ = sizeof head_;
}

Result<CommitHead> DecodeCommit(std::span<const std::byte> bytes,
                                std::vector<LoggedChange>* changes) {
  Decoder from(bytes);
  CommitHead head;
  if (!from.Take(head)) return Senseless("it is cut short");
  for (uint32_t i = 0; i < head.count; ++i) {
    LoggedChange change;
    if (!DecodeChange(from, change)) return Senseless(fmt::format("its change {} is none", i));
    changes->push_back(change);
  }
  if (!from.at_end()) return Senseless("more bytes than changes");
  return head;
}

Result<Lsn> FirstRecordOf(const WalRecord& record) {
  static_assert(offsetof(CommitHead, first_lsn) == 0 && offsetof(CommitEndHead, first_lsn) == 0);
  Lsn first = 0;
  if (!Decoder(record.head).Take(first)) return Senseless("it is cut short");
  return first != 0 ? first : record.begin;
}

Result<LoggedCommit> ReadCommit(const CommitPlace& place) {
  LoggedCommit commit;
  commit.place = place;
  uint32_t sequence = 0;
  WalReader reader(place.first);
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
    if (!record.has_value() || record->end > place.end) break;
    const uint8_t type = record->header.type;
    if (type != kCommitChunk && type != kCommit) continue;
    ASSIGN_OR_RETURN(const Lsn first, FirstRecordOf(*record));
    if (first != place.first) continue;
    commit.records.emplace_back(record->head.begin(), record->head.end());
    const size_t preceding = commit.changes.size();
    ASSIGN_OR_RETURN(const CommitHead head, DecodeCommit(commit.records.back(), &commit.changes));
    if (head.sequence != sequence++ || head.preceding != preceding) break;
    commit.now_ms = head.now_ms;
    if (type == kCommit) return commit;
  }
  return MakeError(ErrorCode::kCorrupt,
                   "write-ahead log: the commit that begins at {:#x} and ends at {:#x} is not "
                   "there in full",
                   place.first, place.end);
}

Status CommitCollector::Add(const WalRecord& record) {
  if (record.header.type != kCommit && record.header.type != kCommitEnd) return {};
  ASSIGN_OR_RETURN(const Lsn first, FirstRecordOf(record));
  if (record.header.type == kCommit) {
    end_of_[first] = record.end;
  } else {
    end_of_.erase(first);
  }
  return {};
}

std::vector<CommitPlace> CommitCollector::Unfinished() const {
  std::vector<CommitPlace> places;
  for (const auto& [first, end] : end_of_) places.push_back({first, end});
  return places;
}

}  // namespace warren

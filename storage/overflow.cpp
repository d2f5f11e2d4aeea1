#include "storage/overflow.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <span>

#include "base/log.h"
#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/reclaim.h"

namespace warren {
namespace {

constexpr uint64_t kKeptBufferBytes = 1u << 20;

// Most new pages of a record: besides it has the map pages of these and of the former head.
constexpr size_t kPagesAtOnce = kMaxRecordPages - 2;

// Makes a new page, all zero and still free in the map, a page of a chain.
void FillPage(ExclusivePage& page, uint32_t database, PageNo next, std::string_view part) {
  auto& header = *reinterpret_cast<OverflowHeader*>(page.bytes());
  header.page.page_no = page.page_no();
  header.page.type = PageType::kOverflow;
  header.page.database = static_cast<uint16_t>(database);
  header.page.right = next;
  header.page.lower = static_cast<uint16_t>(sizeof(OverflowHeader) + part.size());
  header.page.upper = kPageBytes;
  header.maker_start_count = Segment::Server().start_count.load(std::memory_order_relaxed);
  header.maker_slot = ProcArray::SelfOwner().slot;
  header.maker_generation = ProcArray::SelfOwner().generation;
  header.value_bytes = static_cast<uint32_t>(part.size());
  std::memcpy(page.bytes() + sizeof(OverflowHeader), part.data(), part.size());
}

// The bytes of the last page of a chain that holds `rest`: it alone need not be full.
std::string_view LastPart(std::string_view rest) {
  const size_t odd = rest.size() % kOverflowBytesPerPage;
  return rest.substr(rest.size() - (odd != 0 ? odd : kOverflowBytesPerPage));
}

// Puts the last bytes of `rest`, as many as go into one record, in front of the chain `head`. Then
// takes them off `rest`, and sets `head`.
Result<Step> Prepend(uint32_t database, std::string_view& rest, PageNo& head) {
  const size_t missing = (rest.size() + kOverflowBytesPerPage - 1) / kOverflowBytesPerPage;
  std::array<ExclusivePage, kPagesAtOnce> pages;
  const std::span wanted = std::span(pages).first(std::min(missing, kPagesAtOnce));
  MapPages maps;
  ASSIGN_OR_RETURN(const size_t count, AllocatePages({head}, maps, wanted));
  if (count == 0) return Step::kNeedRoom;
  MiniTransaction change(RecordType::kAppendOverflow, database, 0);
  std::string_view left = rest;
  PageNo next = head;
  for (size_t i = count; i-- > 0;) {  // the first one becomes the head
    const std::string_view part = LastPart(left);
    FillPage(pages[i], database, next, part);
    change.AddFilledPage(pages[i]);
    left.remove_suffix(part.size());
    next = pages[i].page_no();
  }
  for (size_t i = 0; i < count; ++i) {
    maps.Set(change, pages[i].page_no(), i == 0 ? PageState::kPendingChain : PageState::kUsed);
  }
  if (head != kNoPage) maps.Set(change, head, PageState::kUsed);
  RETURN_IF_ERROR(change.Commit());
  rest = left;
  head = next;
  return Step::kDone;
}

}  // namespace

Result<char*> ValueBuffer::Reserve(uint64_t bytes) {
  if (bytes > capacity_) {
    bytes_.reset();
    capacity_ = 0;
    bytes_.reset(new (std::nothrow) char[bytes]);
    if (bytes_ == nullptr) {
      return MakeError(ErrorCode::kBusy, "no memory for a value of {} bytes", bytes);
    }
    capacity_ = bytes;
  }
  return bytes_.get();
}

void ValueBuffer::Trim() {
  if (capacity_ <= kKeptBufferBytes) return;
  bytes_.reset();
  capacity_ = 0;
}

Result<PageNo> BuildChain(uint32_t database, std::string_view value) {
  PageNo head = kNoPage;
  while (!value.empty()) {
    Status status = RunSteps([&] { return Prepend(database, value, head); });
    if (!status.ok()) {
      if (head != kNoPage) DiscardChain(head);
      return std::move(status).error();
    }
  }
  return head;
}

void DiscardChain(PageNo head) {
  const Status status = RunSteps([&]() -> Result<Step> {
    ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::GetExclusive(head));
    MiniTransaction change(RecordType::kDisownChain, page.As<PageHeader>().database, 0);
    change.AddPage(page, PageRole::kOldChain, HeaderChanges());
    RETURN_IF_ERROR(change.Commit());
    return Step::kDone;
  });
  const Result<bool> freed =
      status.ok() ? FreeChain(head, ~uint64_t{0}) : Result<bool>(status.error());
  if (!freed.ok()) {
    log::Warning("{}: the chain that begins there is freed later: {}", DescribePage(head),
                 freed.error().message);
  }
}

Status ReadChain(PageNo head, uint64_t bytes, char* to) {
  PageNo next = head;
  for (uint64_t rest = bytes; rest > 0;) {
    if (next == kNoPage) {
      return MakeError(ErrorCode::kCorrupt, "{}: the overflow chain ends {} bytes early",
                       DescribePage(head), rest);
    }
    ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(next));
    const auto& header = page.As<OverflowHeader>();
    if (header.page.type != PageType::kOverflow || header.value_bytes > kOverflowBytesPerPage ||
        header.value_bytes == 0 || header.value_bytes > rest) {
      return MakeError(ErrorCode::kCorrupt, "{}: not the page that the chain of page {} expects",
                       DescribePage(next), head);
    }
    std::memcpy(to, page.bytes() + sizeof(OverflowHeader), header.value_bytes);
    to += header.value_bytes;
    rest -= header.value_bytes;
    next = header.page.right;
  }
  return {};
}

}  // namespace warren

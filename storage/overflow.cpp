#include "storage/overflow.h"

#include <cstring>
#include <new>

#include "base/log.h"
#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/reclaim.h"

namespace warren {
namespace {

constexpr uint64_t kKeptBufferBytes = 1u << 20;

// The content of a chain's page, in private memory.
const std::byte* MakeImage(PageNo page_no, uint32_t database, PageNo next, std::string_view part) {
  alignas(8) thread_local std::byte image[kPageBytes];
  std::memset(image, 0, sizeof(OverflowHeader));
  auto& header = *reinterpret_cast<OverflowHeader*>(image);
  header.page.page_no = page_no;
  header.page.type = PageType::kOverflow;
  header.page.database = static_cast<uint16_t>(database);
  header.page.right = next;
  header.page.lower = static_cast<uint16_t>(sizeof(OverflowHeader) + part.size());
  header.page.upper = kPageBytes;
  header.maker_start_count = Segment::Server().start_count.load(std::memory_order_relaxed);
  header.maker_slot = ProcArray::SelfOwner().slot;
  header.maker_generation = ProcArray::SelfOwner().generation;
  header.value_bytes = static_cast<uint32_t>(part.size());
  std::memcpy(image + sizeof(OverflowHeader), part.data(), part.size());
  return image;
}

// Puts a page with `part` in front of the chain `head`, and sets it to the new page.
Result<Step> Prepend(uint32_t database, std::string_view part, PageNo& head) {
  MapPages maps;
  ExclusivePage page;
  ASSIGN_OR_RETURN(const bool allocated, AllocatePage({head}, maps, page));
  if (!allocated) return Step::kNeedRoom;
  MiniTransaction change(RecordType::kAppendOverflow, database, 0);
  change.AddNewPage(page, MakeImage(page.page_no(), database, head, part));
  maps.Set(change, page.page_no(), PageState::kPendingChain);
  if (head != kNoPage) maps.Set(change, head, PageState::kUsed);
  RETURN_IF_ERROR(change.Commit());
  head = page.page_no();
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
  size_t rest = value.size();
  while (rest > 0) {
    // The last page is the one that is not full: every step takes what makes the rest whole pages.
    const size_t odd = rest % kOverflowBytesPerPage;
    const size_t take = odd != 0 ? odd : kOverflowBytesPerPage;
    const std::string_view part = value.substr(rest - take, take);
    Status status = RunSteps([&] { return Prepend(database, part, head); });
    if (!status.ok()) {
      if (head != kNoPage) DiscardChain(head);
      return std::move(status).error();
    }
    rest -= take;
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

#include "storage/fault_list.h"

#include "storage/data_file.h"

namespace warren {

void FaultList::Add(std::string line) {
  if (lines_.size() >= kKept) {
    ++count_;
    return;
  }
  if (!seen_.insert(line).second) return;
  lines_.push_back(std::move(line));
  ++count_;
}

void FaultList::AddPage(PageNo page_no, uint32_t byte, std::string_view what) {
  Add(fmt::format("{}: {} (offset {})", DescribePage(page_no), what,
                  uint64_t{page_no} * kPageBytes + byte));
}

void FaultList::AddUnreadable(PageNo page_no, const Error& error) {
  Add(fmt::format("{} (offset {})", error.message, uint64_t{page_no} * kPageBytes));
}

void FaultList::AddError(const Error& error) {
  for (const std::string& line : lines_) {
    if (line.starts_with(error.message)) return;
  }
  Add(error.message);
}

Status FaultList::AsStatus() const {
  if (lines_.empty()) return {};
  return Error{ErrorCode::kCorrupt, lines_.front()};
}

}  // namespace warren

#include "storage/page_overlay.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "storage/page.h"

namespace warren {
namespace {

std::string TemporaryDirectoryPath() {
  const char* path = std::getenv("TMPDIR");
  return path != nullptr && *path != '\0' ? path : "/tmp";
}

}  // namespace

Status PageOverlay::Open(DataFile& file) {
  const std::string directory = TemporaryDirectoryPath();
  std::string path = directory + "/warren.XXXXXX";
  fd_.Reset(mkostemp(path.data(), O_CLOEXEC));
  if (!fd_.valid()) {
    return SystemError(errno, fmt::format("temporary directory \"{}\"", directory),
                       "cannot make a file");
  }
  unlink(path.c_str());
  file_ = &file;
  file_pages_ = file.page_count();
  written_.clear();
  return {};
}

Status PageOverlay::ReadPage(PageNo page_no, PageBytes page) {
  if (page_no >= file_->page_count()) return file_->ReadPage(page_no, page);  // all zeros
  if (page_no < written_.size() && written_[page_no]) {
    return PreadFully(fd_.get(), page, uint64_t{page_no} * kPageBytes, "temporary file");
  }
  if (page_no < file_pages_) return file_->ReadPage(page_no, page);
  std::ranges::fill(page, std::byte{0});  // the file would have been made longer
  return {};
}

Status PageOverlay::WritePage(PageNo page_no, ConstPageBytes page) {
  RETURN_IF_ERROR(PwriteFully(fd_.get(), page, uint64_t{page_no} * kPageBytes, "temporary file"));
  if (page_no >= written_.size()) written_.resize(page_no + size_t{1});
  written_[page_no] = true;
  return {};
}

}  // namespace warren

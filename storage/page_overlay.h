// How is a data directory recovered for looking at it, without changing it?
//
// Pages are read from the data file, but what the buffer cache writes out goes to a nameless file
// in the temporary directory and is read from there again. The data file is open read-only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "shmem/page_io.h"
#include "storage/data_file.h"

namespace warren {

class PageOverlay : public PageIo {
 public:
  // Of `file`, which is open and outlives this. kIo, kNoSpace: no temporary file can be made.
  Status Open(DataFile& file);

  Status ReadPage(PageNo page_no, PageBytes page) override;
  Status WritePage(PageNo page_no, ConstPageBytes page) override;
  Status Sync() override { return {}; }

 private:
  DataFile* file_ = nullptr;
  PageNo file_pages_ = 0;  // that the file really has
  UniqueFd fd_;
  std::vector<bool> written_;  // by page: it is in the temporary file
};

}  // namespace warren

// How does the buffer cache reach the disk without knowing about files?
#pragma once

#include <cstddef>
#include <span>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

using PageBytes = std::span<std::byte, kPageBytes>;
using ConstPageBytes = std::span<const std::byte, kPageBytes>;

// Implemented by storage/ (data file) and by tests. Stateless as far as processes are concerned:
// pread/pwrite only, so that inherited descriptors are safe.
class PageIo {
 public:
  virtual ~PageIo() = default;

  // Fills `page` with the page's bytes and verifies its checksum and page number. kCorrupt names
  // file, page and what differs. A page that was allocated but never written reads as all zero.
  virtual Status ReadPage(PageNo page_no, PageBytes page) = 0;

  // Writes the page: sets number and checksum in a private copy, writes it in full. The caller
  // holds the content lock (shared is enough) until this has returned. kNoSpace or kIo on failure:
  // nothing counts as written.
  virtual Status WritePage(PageNo page_no, ConstPageBytes page) = 0;

  // Makes all completed writes durable.
  virtual Status Sync() = 0;
};

}  // namespace warren

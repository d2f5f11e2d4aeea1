// Which pages does a log record carry whole?
//
// The first change of a page after a checkpoint began carries the page as it was before the change:
// redo starts from it, whatever a torn write left in the file. A filled page (mini_transaction.h)
// comes the same way. The images are the tail of the log record, in the order of the record's
// pages; bit i of the log record's flags says that page i has one.
//
//   image   offset  bytes  field
//           0       2      low: bytes [0, low) of the page follow
//           2       2      high: then bytes [kPageBytes - high, kPageBytes); what is between is not
//           in use 4       4      reserved, 0 8       ...    the bytes
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "storage/record.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {

struct PageImageHeader {
  uint16_t low;
  uint16_t high;
  uint32_t reserved;
};
static_assert(sizeof(PageImageHeader) == 8);
static_assert(kMaxRecordPages <= 8, "one bit of the log record's flags per page");
static_assert(sizeof(WalRecordHeader) + kMaxRecordBytes +
                  kMaxRecordPages * (sizeof(PageImageHeader) + kPageBytes) <=
              kMaxWalRecordBytes);

// The images that a record needs, as pieces that point into the pages: these stay locked and
// unchanged until the record is in the log.
class PageImages {
 public:
  // Page `i` of the record, if its role is not kNewPage or kFilledPage.
  void AddIfDue(size_t i, const std::byte* page, Lsn checkpoint_start);
  // A filled page.
  void Add(size_t i, const std::byte* page);

  uint8_t flags() const { return flags_; }
  size_t bytes() const { return bytes_; }
  std::span<const WalPiece> pieces() const { return {pieces_.data(), piece_count_}; }
  uint32_t count_due() const { return count_due_; }  // without filled pages

 private:
  uint8_t flags_ = 0;
  uint32_t count_due_ = 0;
  size_t count_ = 0;
  size_t piece_count_ = 0;
  size_t bytes_ = 0;
  std::array<PageImageHeader, kMaxRecordPages> headers_;
  std::array<WalPiece, 3 * kMaxRecordPages> pieces_;
};

// What redo finds in a tail: empty where page i has no image.
using FoundImages = std::array<std::span<const std::byte>, kMaxRecordPages>;
Result<FoundImages> ReadImages(uint8_t flags, std::span<const std::byte> tail);

// Makes `page` what the image says.
void InstallImage(std::span<const std::byte> image, std::byte* page) noexcept;

}  // namespace warren

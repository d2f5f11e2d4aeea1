#include "storage/page_images.h"

#include <cstring>

namespace warren {
namespace {

PageImageHeader MeaningfulBytes(const std::byte* page) {
  const PageHeader& header = HeaderOf(page);
  if (header.type == PageType::kNone) return {0, 0, 0};  // never written: all zero
  return {header.lower, static_cast<uint16_t>(kPageBytes - header.upper), 0};
}

PageImageHeader HeaderOfImage(std::span<const std::byte> image) {
  PageImageHeader header;
  std::memcpy(&header, image.data(), sizeof header);
  return header;
}

}  // namespace

void PageImages::AddIfDue(size_t i, const std::byte* page, Lsn checkpoint_start) {
  if (HeaderOf(page).lsn > checkpoint_start) return;
  Add(i, page);
  ++count_due_;
}

void PageImages::Add(size_t i, const std::byte* page) {
  const PageImageHeader& header = headers_[count_++] = MeaningfulBytes(page);
  flags_ = static_cast<uint8_t>(flags_ | 1u << i);
  pieces_[piece_count_++] = std::as_bytes(std::span(&header, 1));
  if (header.low != 0) pieces_[piece_count_++] = {page, header.low};
  if (header.high != 0) pieces_[piece_count_++] = {page + kPageBytes - header.high, header.high};
  bytes_ += sizeof header + header.low + header.high;
}

Result<FoundImages> ReadImages(uint8_t flags, std::span<const std::byte> tail) {
  FoundImages images;
  size_t at = 0;
  for (size_t i = 0; i < kMaxRecordPages; ++i) {
    if ((flags >> i & 1) == 0) continue;
    if (tail.size() - at < sizeof(PageImageHeader)) {
      return MakeError(ErrorCode::kCorrupt, "page image {} is missing", i);
    }
    const PageImageHeader header = HeaderOfImage(tail.subspan(at));
    const size_t bytes = sizeof header + header.low + header.high;
    if (header.low + size_t{header.high} > kPageBytes || tail.size() - at < bytes) {
      return MakeError(ErrorCode::kCorrupt, "page image {} is cut short", i);
    }
    images[i] = tail.subspan(at, bytes);
    at += bytes;
  }
  return images;
}

void InstallImage(std::span<const std::byte> image, std::byte* page) noexcept {
  const PageImageHeader header = HeaderOfImage(image);
  const std::byte* bytes = image.data() + sizeof header;
  std::memcpy(page, bytes, header.low);
  std::memset(page + header.low, 0, kPageBytes - header.low - size_t{header.high});
  std::memcpy(page + kPageBytes - header.high, bytes + header.low, header.high);
}

}  // namespace warren

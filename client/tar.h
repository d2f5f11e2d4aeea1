// How do files become one stream of bytes, and files again?
//
// The ustar format that every tar reads: a header of 512 bytes per file, its bytes, zeros up to a
// multiple of 512; two headers of zeros at the end. Sizes from 8 GiB on are written in base 256, as
// GNU tar does. Reading passes over directories and extended headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace warren {

inline constexpr size_t kTarBlockBytes = 512;

// The header of a file with a path of at most 99 bytes.
std::string TarHeader(const std::string& path, uint64_t bytes, int64_t mtime_seconds);

// The zeros behind a file of `bytes`, and those at the archive's end.
constexpr size_t TarPaddingBytes(uint64_t bytes) {
  return static_cast<size_t>((kTarBlockBytes - bytes % kTarBlockBytes) % kTarBlockBytes);
}
inline constexpr size_t kTarEndBytes = 2 * kTarBlockBytes;

struct TarEntry {
  std::string path;
  uint64_t bytes = 0;
};

// Reads the files of an archive from a descriptor, in their order.
class TarReader {
 public:
  // `name` is for the errors' texts.
  TarReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  // The next file; nothing at the end. What was not read of the one before is passed over.
  // kCorrupt names the offset.
  Result<std::optional<TarEntry>> Next();

  // The next bytes of the present file; 0 at its end.
  Result<size_t> Read(std::span<std::byte> bytes);

 private:
  Status ReadFully(std::span<std::byte> bytes);
  Status Skip(uint64_t bytes);

  int fd_;
  std::string name_;
  uint64_t offset_ = 0;   // in the archive
  uint64_t left_ = 0;     // of the present file
  uint64_t padding_ = 0;  // behind it
};

}  // namespace warren

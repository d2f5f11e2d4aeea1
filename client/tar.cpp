#include "client/tar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "base/file.h"
#include "client/interrupt.h"

namespace warren {
namespace {

struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link_name[100];
  char magic[8];  // "ustar" and its version
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char rest[12];
};
static_assert(sizeof(Header) == kTarBlockBytes);

constexpr uint64_t kMostOctal = (uint64_t{1} << 33) - 1;  // eleven digits
constexpr char kFile = '0';
constexpr char kOldFile = '\0';

template <size_t N>
void PutOctal(char (&field)[N], uint64_t value) {
  const std::string text = fmt::format("{:0{}o}", value, N - 1);
  std::memcpy(field, text.data(), N - 1);
}

void PutSize(Header& header, uint64_t bytes) {
  if (bytes <= kMostOctal) return PutOctal(header.size, bytes);
  header.size[0] = '\x80';
  for (size_t i = 0; i < 8; ++i) {
    header.size[sizeof header.size - 1 - i] = static_cast<char>(bytes >> (8 * i));
  }
}

uint64_t NumberIn(const char* field, size_t bytes) {
  uint64_t value = 0;
  if ((field[0] & '\x80') != 0) {
    for (size_t i = 1; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(field[i]);
    return value;
  }
  return std::strtoull(std::string(field, bytes).c_str(), nullptr, 8);
}

// Of the header with blanks for the checksum.
uint32_t ChecksumOf(Header header) {
  std::memset(header.checksum, ' ', sizeof header.checksum);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  return std::accumulate(bytes, bytes + sizeof header, uint32_t{0});
}

std::string TextIn(const char* field, size_t bytes) { return {field, strnlen(field, bytes)}; }

std::string PathIn(const Header& header) {
  const std::string prefix = TextIn(header.prefix, sizeof header.prefix);
  std::string path = TextIn(header.name, sizeof header.name);
  if (!prefix.empty()) path = prefix + "/" + path;
  return path.starts_with("./") ? path.substr(2) : path;
}

}  // namespace

std::string TarHeader(const std::string& path, uint64_t bytes, int64_t mtime_seconds) {
  Header header{};
  CHECK(path.size() < sizeof header.name, "path of {} bytes", path.size());
  std::memcpy(header.name, path.data(), path.size());
  PutOctal(header.mode, 0600);
  PutOctal(header.uid, 0);
  PutOctal(header.gid, 0);
  PutSize(header, bytes);
  PutOctal(header.mtime, static_cast<uint64_t>(mtime_seconds));
  header.type = kFile;
  std::memcpy(header.magic, "ustar\00000", sizeof header.magic);
  const std::string checksum = fmt::format("{:06o}", ChecksumOf(header));
  std::memcpy(header.checksum, checksum.data(), checksum.size());
  header.checksum[7] = ' ';
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

Status TarReader::ReadFully(std::span<std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    RETURN_IF_ERROR(CheckInterrupted());
    const ssize_t n = read(fd_, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, name_, "cannot read");
    if (n == 0) {
      return MakeError(ErrorCode::kCorrupt, "{} offset {}: it ends here in the middle of a file",
                       name_, offset_ + done);
    }
    done += static_cast<size_t>(n);
  }
  offset_ += done;
  return {};
}

Status TarReader::Skip(uint64_t bytes) {
  std::array<std::byte, 64 * 1024> passed;
  while (bytes > 0) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(bytes, passed.size()));
    RETURN_IF_ERROR(ReadFully(std::span(passed).first(size)));
    bytes -= size;
  }
  return {};
}

Result<std::optional<TarEntry>> TarReader::Next() {
  for (;;) {
    RETURN_IF_ERROR(Skip(left_ + padding_));
    left_ = padding_ = 0;
    const uint64_t at = offset_;
    Header header;
    RETURN_IF_ERROR(ReadFully(std::as_writable_bytes(std::span(&header, 1))));
    if (header.name[0] == '\0') return std::optional<TarEntry>();
    if (NumberIn(header.checksum, sizeof header.checksum) != ChecksumOf(header)) {
      return MakeError(ErrorCode::kCorrupt,
                       "{} offset {}: not the header of a file in a tar archive", name_, at);
    }
    const uint64_t bytes = NumberIn(header.size, sizeof header.size);
    left_ = bytes;
    padding_ = TarPaddingBytes(bytes);
    if (header.type != kFile && header.type != kOldFile) continue;
    return std::optional<TarEntry>({.path = PathIn(header), .bytes = bytes});
  }
}

Result<size_t> TarReader::Read(std::span<std::byte> bytes) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_));
  RETURN_IF_ERROR(ReadFully(bytes.first(size)));
  left_ -= size;
  return size;
}

}  // namespace warren

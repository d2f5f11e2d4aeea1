#include "tests/crash/file_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/unique_fd.h"

namespace warren::test {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

bool IsZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

void TouchLog::Add(std::string_view path, uint64_t offset, uint64_t bytes) {
  if (count_ >= kMost || path.size() >= sizeof(Touch::path)) {
    count_ = kMost + 1;
    return;
  }
  Touch& touch = touches_[count_++];
  std::memcpy(touch.path, path.data(), path.size());
  touch.path[path.size()] = 0;
  touch.offset = offset;
  touch.bytes = bytes;
}

FileImage::FileImage(std::string directory) : directory_(std::move(directory)) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (entry.is_regular_file()) Load(entry.path().string());
  }
}

void FileImage::Load(const std::string& path) {
  File& file = files_[path];
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Must(fd.valid(), path.c_str());
  Block block;
  for (;;) {
    const ssize_t n = pread(fd.get(), block.data(), kBlockBytes, static_cast<off_t>(file.bytes));
    Must(n >= 0, path.c_str());
    if (n == 0) return;
    Write(file, file.bytes, {block.data(), static_cast<size_t>(n)});
  }
}

void FileImage::Write(File& file, uint64_t offset, std::span<const std::byte> data) {
  file.bytes = std::max(file.bytes, offset + data.size());
  while (!data.empty()) {
    const uint64_t number = offset / kBlockBytes;
    const size_t begin = offset % kBlockBytes;
    const size_t size = std::min(data.size(), kBlockBytes - begin);
    const auto part = data.first(size);
    if (file.blocks.contains(number) || !IsZero(part)) {
      std::memcpy(file.blocks[number].data() + begin, part.data(), size);
    }
    data = data.subspan(size);
    offset += size;
  }
}

void FileImage::SetSize(File& file, uint64_t bytes) {
  file.blocks.erase(file.blocks.lower_bound((bytes + kBlockBytes - 1) / kBlockBytes),
                    file.blocks.end());
  const auto last = file.blocks.find(bytes / kBlockBytes);
  if (last != file.blocks.end()) {
    std::memset(last->second.data() + bytes % kBlockBytes, 0, kBlockBytes - bytes % kBlockBytes);
  }
  file.bytes = bytes;
}

void FileImage::ApplyToImage(const RecordedEvent& event, std::span<const std::byte> data) {
  const std::string path(event.path);
  switch (event.call) {
    case CallKind::kCreate:
      files_[path] = {};
      return;
    case CallKind::kWrite:
      return Write(files_[path], event.offset == kAppend ? files_[path].bytes : event.offset, data);
    case CallKind::kAllocate:
      files_[path].bytes = std::max(files_[path].bytes, event.offset + event.bytes);
      return;
    case CallKind::kTruncate:
      return SetSize(files_[path], event.offset);
    case CallKind::kRename:
      files_[std::string(event.to_path)] = std::move(files_[path]);
      files_.erase(path);
      return;
    default:
      files_.erase(path);
  }
}

void FileImage::Apply(const RecordedEvent& event, uint64_t of_write) {
  const auto data = event.data.first(std::min<size_t>(event.data.size(), of_write));
  ApplyToImage(event, data);
  const std::string path(event.path);
  if (event.call == CallKind::kRename) {
    // The file itself: descriptors that are open follow it.
    Must(rename(path.c_str(), std::string(event.to_path).c_str()) == 0, path.c_str());
  } else if (event.call == CallKind::kCreate || event.call == CallKind::kUnlink ||
             event.offset == kAppend) {
    RestoreWhole(path);
  } else {
    RestoreRange(path, event.offset, data.size());
  }
}

void FileImage::Restore(const TouchLog& touched) {
  if (touched.overflown()) return RestoreAll();
  for (const TouchLog::Touch& touch : touched.touches()) {
    if (touch.bytes == 0 || !files_.contains(touch.path) || access(touch.path, F_OK) != 0) {
      RestoreWhole(touch.path);
    }
  }
  for (const TouchLog::Touch& touch : touched.touches()) {
    if (touch.bytes != 0 && files_.contains(touch.path)) {
      RestoreRange(touch.path, touch.offset, touch.bytes);
    }
  }
}

void FileImage::RestoreAll() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  for (const auto& [path, file] : files_) paths.push_back(path);
  for (const std::string& path : paths) RestoreWhole(path);
}

void FileImage::RestoreWhole(const std::string& path) {
  const auto found = files_.find(path);
  if (found == files_.end()) {
    unlink(path.c_str());
    return;
  }
  // In its place, if it has one: descriptors that are open go on with it.
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  Must(fd.valid(), path.c_str());
  for (const auto& [number, block] : found->second.blocks) {
    Must(pwrite(fd.get(), block.data(), kBlockBytes, static_cast<off_t>(number * kBlockBytes)) ==
             static_cast<ssize_t>(kBlockBytes),
         path.c_str());
  }
  Must(ftruncate(fd.get(), static_cast<off_t>(found->second.bytes)) == 0, path.c_str());
}

void FileImage::RestoreRange(const std::string& path, uint64_t offset, uint64_t bytes) {
  static constexpr Block kZeros{};
  const File& file = files_.at(path);
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  Must(fd.valid(), path.c_str());
  const uint64_t end = std::min(offset + bytes, file.bytes);
  for (uint64_t number = offset / kBlockBytes; number * kBlockBytes < end; ++number) {
    const auto block = file.blocks.find(number);
    const Block& content = block == file.blocks.end() ? kZeros : block->second;
    const uint64_t size = std::min(kBlockBytes, file.bytes - number * kBlockBytes);
    Must(pwrite(fd.get(), content.data(), size, static_cast<off_t>(number * kBlockBytes)) ==
             static_cast<ssize_t>(size),
         path.c_str());
  }
  Must(ftruncate(fd.get(), static_cast<off_t>(file.bytes)) == 0, path.c_str());
}

}  // namespace warren::test

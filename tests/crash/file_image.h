// What is in the files of a directory at a moment of a replay, and how do they get back to it?
//
// The files on disk are as the image says, but for what a child that was forked to repair them has
// changed since. It notes what it touches in memory that it shares with its parent (TouchLog), so
// that only that is written again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/store_recorder.h"

namespace warren::test {

// What was touched of the files below a directory, or more. In shared memory.
class TouchLog {
 public:
  static constexpr size_t kMost = 4096;
  struct Touch {
    char path[240];
    uint64_t offset, bytes;  // bytes 0: the name, or the whole
  };

  void Clear() { count_ = 0; }
  void Add(std::string_view path, uint64_t offset, uint64_t bytes);
  bool overflown() const { return count_ > kMost; }
  std::span<const Touch> touches() const { return {touches_, count_}; }

 private:
  size_t count_;
  Touch touches_[kMost];
};

class FileImage {
 public:
  // As the directory is now.
  explicit FileImage(std::string directory);

  // Makes an event's change in the image and on disk. Of a write only the first `of_write` bytes.
  void Apply(const RecordedEvent& event, uint64_t of_write = ~uint64_t{0});

  // What was touched is on disk as in the image again.
  void Restore(const TouchLog& touched);

 private:
  static constexpr size_t kBlockBytes = 4096;
  using Block = std::array<std::byte, kBlockBytes>;
  struct File {
    uint64_t bytes = 0;
    std::map<uint64_t, Block> blocks;  // by number; those that are missing are zeros
  };

  void Load(const std::string& path);
  static void Write(File& file, uint64_t offset, std::span<const std::byte> data);
  static void SetSize(File& file, uint64_t bytes);
  void ApplyToImage(const RecordedEvent& event, std::span<const std::byte> data);
  void RestoreAll();
  void RestoreWhole(const std::string& path);
  void RestoreRange(const std::string& path, uint64_t offset, uint64_t bytes);

  std::string directory_;
  std::map<std::string, File> files_;  // by path
};

}  // namespace warren::test

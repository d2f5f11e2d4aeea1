#include "tests/crash/recorded_disk.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace warren::test {
namespace {

std::vector<std::byte> ReadBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

void WriteBytes(const std::string& path, const std::vector<std::byte>& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

DiskChange ToChange(const FileEvent& event) {
  return {.call = event.call,
          .path = event.path,
          .to_path = event.to_path,
          .offset = event.offset,
          .bytes = event.bytes,
          .data = {event.data.begin(), event.data.end()}};
}

RecordedDisk::RecordedDisk(std::string directory) : directory_(std::move(directory)) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (!entry.is_regular_file()) continue;
    auto file = std::make_shared<File>();
    file->durable = ReadBytes(entry.path());
    now_[Relative(entry.path().string())] = std::move(file);
  }
  durable_ = now_;
}

std::string RecordedDisk::Relative(const std::string& path) const {
  return path == directory_ ? "" : path.substr(directory_.size() + 1);
}

void RecordedDisk::Make(const DiskChange& change) {
  switch (change.call) {
    case FileCall::kWrite:
    case FileCall::kAllocate:
    case FileCall::kTruncate:
      now_.at(Relative(change.path))->unsynced.push_back(change);
      return;
    case FileCall::kSync:
      return Sync(Relative(change.path));
    case FileCall::kCreate:
    case FileCall::kRename:
    case FileCall::kUnlink:
      return ChangeNames(change);
    case FileCall::kOpen:
    case FileCall::kRead:
      return;
  }
}

void RecordedDisk::ChangeNames(const DiskChange& change) {
  NameChange renaming{change.call, Relative(change.path), "", nullptr};
  if (change.call == FileCall::kRename) renaming.to_path = Relative(change.to_path);
  // A file that is cut to nothing counts as a new one.
  renaming.file =
      change.call == FileCall::kCreate ? std::make_shared<File>() : now_.at(renaming.path);
  ApplyTo(now_, renaming);
  unsynced_names_.push_back(std::move(renaming));
}

void RecordedDisk::ApplyTo(Names& names, const NameChange& change) {
  if (change.call == FileCall::kCreate) {
    names[change.path] = change.file;
    return;
  }
  // The old name is there unless it was made by a change that is lost.
  names.erase(change.path);
  if (change.call == FileCall::kRename) names[change.to_path] = change.file;
}

void RecordedDisk::Sync(const std::string& path) {
  if (const auto file = now_.find(path); file != now_.end()) {
    for (const DiskChange& change : file->second->unsynced) {
      ApplyTo(file->second->durable, change, 0, nullptr);
    }
    return file->second->unsynced.clear();
  }
  std::vector<NameChange> left;
  for (NameChange& change : unsynced_names_) {
    if (ParentOf(change.path) == path) {
      ApplyTo(durable_, change);
    } else {
      left.push_back(std::move(change));
    }
  }
  unsynced_names_ = std::move(left);
}

// Sector by sector, by chance if there is `random`.
void RecordedDisk::ApplyTo(Bytes& content, const DiskChange& change, uint64_t sector_bytes,
                           std::mt19937_64* random) {
  const auto kept = [&] { return random == nullptr || (*random)() % 2 == 0; };
  const uint64_t end = change.offset + change.bytes;
  if (change.call == FileCall::kTruncate) {
    if (kept()) content.resize(change.offset);
    return;
  }
  if (change.call == FileCall::kAllocate) {
    if (kept() && content.size() < end) content.resize(end);
    return;
  }
  if (random == nullptr) sector_bytes = end;  // in one piece
  for (uint64_t from = change.offset; from < end;) {
    const uint64_t to = std::min(end, (from / sector_bytes + 1) * sector_bytes);
    if (kept()) {
      if (content.size() < to) content.resize(to);
      std::memcpy(content.data() + from, change.data.data() + (from - change.offset), to - from);
    }
    from = to;
  }
}

void RecordedDisk::Write(const std::string& directory, uint64_t sector_bytes,
                         std::mt19937_64* random) const {
  Names names = durable_;
  for (const NameChange& change : unsynced_names_) {
    const bool possible = change.call == FileCall::kCreate || names.contains(change.path);
    if (possible && (random == nullptr || (*random)() % 2 == 0)) ApplyTo(names, change);
  }
  std::filesystem::remove_all(directory);
  for (const auto& [path, file] : names) {
    Bytes content = file->durable;
    for (const DiskChange& change : file->unsynced) ApplyTo(content, change, sector_bytes, random);
    WriteBytes(directory + "/" + path, content);
  }
}

void RecordedDisk::WriteAfterPowerLoss(const std::string& directory, uint64_t sector_bytes,
                                       std::mt19937_64& random) const {
  Write(directory, sector_bytes, &random);
}

void RecordedDisk::WriteAll(const std::string& directory) const { Write(directory, 0, nullptr); }

void RecordedDisk::WriteSyncedOnly(const std::string& directory) const {
  std::filesystem::remove_all(directory);
  for (const auto& [path, file] : durable_) WriteBytes(directory + "/" + path, file->durable);
}

}  // namespace warren::test

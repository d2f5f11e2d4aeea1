#include "storage/control_file.h"

#include <cstddef>
#include <cstring>

#include "base/checksum.h"
#include "base/file.h"
#include "storage/page.h"

namespace warren {
namespace {

uint64_t ControlChecksum(const ControlData& control) {
  return Checksum64({reinterpret_cast<const std::byte*>(&control), offsetof(ControlData, checksum)},
                    0);
}

}  // namespace

std::string ControlPath(const std::string& directory) { return directory + "/warren.control"; }

Status WriteControl(const std::string& directory, ControlData control) {
  std::memcpy(control.magic, kControlMagic, sizeof control.magic);
  control.format_version = kFormatVersion;
  control.checksum = ControlChecksum(control);
  const std::string_view bytes(reinterpret_cast<const char*>(&control), sizeof control);
  // One process at a time writes it: what is left there is a dead one's.
  RemoveLeftoversOf(ControlPath(directory));
  return WriteFileAtomically(ControlPath(directory), bytes, 0600);
}

Result<ControlData> ReadControl(const std::string& directory) {
  const std::string path = ControlPath(directory);
  ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(path));
  ControlData control;
  if (bytes.size() < offsetof(ControlData, state) ||
      std::memcmp(bytes.data(), kControlMagic, sizeof control.magic) != 0) {
    return MakeError(ErrorCode::kCorrupt, "control file \"{}\" offset 0: not a Warren control file",
                     path);
  }
  uint32_t version;
  std::memcpy(&version, bytes.data() + offsetof(ControlData, format_version), sizeof version);
  if (version != kFormatVersion) {
    return MakeError(
        ErrorCode::kCorrupt,
        "control file \"{}\" offset {}: format version {}, this program reads version {}", path,
        offsetof(ControlData, format_version), version, kFormatVersion);
  }
  if (bytes.size() != sizeof control) {
    return MakeError(ErrorCode::kCorrupt, "control file \"{}\" offset {}: it should end at {}",
                     path, bytes.size(), sizeof control);
  }
  std::memcpy(&control, bytes.data(), sizeof control);
  const uint64_t expected = ControlChecksum(control);
  if (control.checksum != expected) {
    return MakeError(
        ErrorCode::kCorrupt,
        "control file \"{}\" offset {}: checksum mismatch, expected {:#018x} found {:#018x}", path,
        offsetof(ControlData, checksum), expected, control.checksum);
  }
  return control;
}

}  // namespace warren

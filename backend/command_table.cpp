#include <algorithm>
#include <array>
#include <cstring>

#include "backend/command.h"
#include "backend/commands_backup.h"
#include "backend/commands_check.h"
#include "backend/commands_client.h"
#include "backend/commands_command.h"
#include "backend/commands_config.h"
#include "backend/commands_connection.h"
#include "backend/commands_durability.h"
#include "backend/commands_expire.h"
#include "backend/commands_fault.h"
#include "backend/commands_generic.h"
#include "backend/commands_incidents.h"
#include "backend/commands_lock.h"
#include "backend/commands_multi.h"
#include "backend/commands_scan.h"
#include "backend/commands_scripting.h"
#include "backend/commands_server.h"
#include "backend/commands_string.h"
#include "backend/commands_transaction.h"
#include "backend/commands_vacuum.h"
#include "backend/commands_version.h"
#include "base/ascii.h"

namespace warren {
namespace {

template <size_t... n>
consteval auto MergeSorted(const CommandInfo (&... groups)[n]) {
  std::array<CommandInfo, (n + ...)> all{};
  auto* to = all.data();
  ((to = std::copy(std::begin(groups), std::end(groups), to)), ...);
  std::sort(all.begin(), all.end(),
            [](const CommandInfo& a, const CommandInfo& b) { return a.name < b.name; });
  return all;
}

// One line per group.
constexpr auto kTable = MergeSorted(  //
    kBackupCommands,                  //
    kCheckCommands,                   //
    kClientCommands,                  //
    kCommandCommands,                 //
    kConfigCommands,                  //
    kConnectionCommands,              //
    kDurabilityCommands,              //
    kExpireCommands,                  //
    kFaultCommands,                   //
    kGenericCommands,                 //
    kIncidentCommands,                //
    kLockCommands,                    //
    kMultiCommands,                   //
    kScanCommands,                    //
    kScriptingCommands,               //
    kServerCommands,                  //
    kStringCommands,                  //
    kTransactionCommands,             //
    kVacuumCommands,                  //
    kVersionCommands);

constexpr size_t kMaxNameBytes = 32;

constexpr std::string_view ContainerName(std::string_view name) {
  const size_t bar = name.find('|');
  return bar == std::string_view::npos ? std::string_view{} : name.substr(0, bar);
}

constexpr bool IsSubcommandOf(const CommandInfo& info, std::string_view container) {
  return info.name.size() > container.size() && info.name[container.size()] == '|' &&
         info.name.starts_with(container);
}

consteval bool NamesAreUniqueAndShort() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].name.empty() || kTable[i].name.size() > kMaxNameBytes) return false;
    if (i > 0 && kTable[i - 1].name == kTable[i].name) return false;
  }
  return true;
}
static_assert(NamesAreUniqueAndShort(), "two rows of the command table have the same name");

// '|' sorts behind every letter, so a name that begins with a container's name could come between.
consteval bool SubcommandsFollowTheirContainer() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    const std::string_view container = ContainerName(kTable[i].name);
    if (container.empty()) continue;
    if (i == 0 || (kTable[i - 1].name != container && !IsSubcommandOf(kTable[i - 1], container))) {
      return false;
    }
  }
  return true;
}
static_assert(SubcommandsFollowTheirContainer(), "a sub-command's container row is missing");

// g++ holds the address of a template function for unknown when it is to check for null pointers.
#ifndef __SANITIZE_ADDRESS__
consteval bool OnlyContainersLackHandlers() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    const bool container = i + 1 < kTable.size() && IsSubcommandOf(kTable[i + 1], kTable[i].name);
    if (kTable[i].handler == nullptr && !container) return false;
  }
  return true;
}
static_assert(OnlyContainersLackHandlers(), "a row of the command table has no handler");
#endif

// FNV-1a: short names, and it can be computed piece by piece.
constexpr uint32_t kHashStart = 2166136261u;
constexpr uint32_t HashMore(uint32_t hash, char c) {
  return (hash ^ static_cast<unsigned char>(c)) * 16777619u;
}

// Open addressing: a row's index + 1, 0 for an empty place.
constexpr size_t kHashSize = 1024;
static_assert(kTable.size() * 4 <= kHashSize, "enlarge kHashSize");

consteval std::array<uint16_t, kHashSize> MakeHash() {
  std::array<uint16_t, kHashSize> places{};
  for (size_t i = 0; i < kTable.size(); ++i) {
    uint32_t hash = kHashStart;
    for (char c : kTable[i].name) hash = HashMore(hash, c);
    size_t at = hash % kHashSize;
    while (places[at] != 0) at = (at + 1) % kHashSize;
    places[at] = static_cast<uint16_t>(i + 1);
  }
  return places;
}
constexpr std::array<uint16_t, kHashSize> kHash = MakeHash();

// A name being put together for a look-up: lower case, with its hash.
class LookupName {
 public:
  bool Append(std::string_view part) {
    if (part.size() > kMaxNameBytes - size_) return false;
    for (char c : part) {
      bytes_[size_] = AsciiLower(c);
      hash_ = HashMore(hash_, bytes_[size_++]);
    }
    return true;
  }
  const CommandInfo* Find() const {
    for (size_t at = hash_ % kHashSize; kHash[at] != 0; at = (at + 1) % kHashSize) {
      const CommandInfo& info = kTable[kHash[at] - 1u];
      if (info.name.size() == size_ && memcmp(info.name.data(), bytes_, size_) == 0) return &info;
    }
    return nullptr;
  }

 private:
  char bytes_[kMaxNameBytes];
  size_t size_ = 0;
  uint32_t hash_ = kHashStart;
};

// Without sub-commands, and as it was spelled: most commands are the same as the one before.
struct LastFound {
  char bytes[kMaxNameBytes] = {};
  size_t size = 0;
  const CommandInfo* info = nullptr;

  bool Is(std::string_view name) const { return name == std::string_view(bytes, size); }
  void Note(std::string_view name, const CommandInfo& found) {
    memcpy(bytes, name.data(), name.size());
    size = name.size();
    info = &found;
  }
};
constinit LastFound last_found;

}  // namespace

std::span<const CommandInfo> CommandTable() { return kTable; }

const CommandInfo* FindCommandByName(std::string_view name) {
  LookupName lookup;
  return lookup.Append(name) ? lookup.Find() : nullptr;
}

std::span<const CommandInfo> SubcommandsOf(const CommandInfo& container) {
  const size_t first = CommandIndex(container) + 1;
  size_t end = first;
  while (end < kTable.size() && IsSubcommandOf(kTable[end], container.name)) ++end;
  return std::span(kTable).subspan(first, end - first);
}

const CommandInfo* FindCommand(Args args, const CommandInfo** container) {
  *container = nullptr;
  if (last_found.Is(args[0])) return last_found.info;
  LookupName lookup;
  // A bar in the name itself would reach a sub-command's row past its container.
  if (!lookup.Append(args[0]) || args[0].find('|') != std::string_view::npos) return nullptr;
  const CommandInfo* info = lookup.Find();
  if (info == nullptr) return nullptr;
  if (SubcommandsOf(*info).empty()) {
    last_found.Note(args[0], *info);
    return info;
  }
  if (args.size() < 2) return info;
  const CommandInfo* sub = lookup.Append("|") && lookup.Append(args[1]) ? lookup.Find() : nullptr;
  if (sub == nullptr) *container = info;
  return sub;
}

}  // namespace warren

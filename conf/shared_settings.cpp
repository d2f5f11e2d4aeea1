#include "conf/shared_settings.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "conf/config_commands.h"
#include "conf/setting_info.h"
#include "conf/tokenizer.h"

namespace warren {

// Words are stored with release and loaded with acquire: a reader that met a word of the next
// writing then also meets the number that was stored before it, and knows that its copy is mixed.
template <size_t kBytes>
void NumberedText<kBytes>::Store(std::string_view text) {
  CHECK(text.size() <= kBytes, "{} bytes into {}", text.size(), kBytes);
  bytes.store(text.size(), std::memory_order_release);
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min<size_t>(8, text.size() - at));
    words[at / 8].store(word, std::memory_order_release);
  }
}

template <size_t kBytes>
std::string NumberedText<kBytes>::Load() const {
  const size_t size = std::min<size_t>(bytes.load(std::memory_order_acquire), kBytes);
  std::string text(size, '\0');
  for (size_t at = 0; at < size; at += 8) {
    const uint64_t word = words[at / 8].load(std::memory_order_acquire);
    std::memcpy(text.data() + at, &word, std::min<size_t>(8, size - at));
  }
  return text;
}

namespace internal {
SharedSettingsArea* g_settings_area = nullptr;
uint32_t g_settings_generation = 0;
}  // namespace internal

namespace {

SharedSettingsArea& Area() {
  CHECK(internal::g_settings_area != nullptr);
  return *internal::g_settings_area;
}

// A configuration text of all that is not at its default.
std::string FormatSettings(const Settings& settings) {
  static const Settings defaults;
  std::string text;
  for (const SettingInfo& info : SettingTable()) {
    if (info.get(info, settings) == info.get(info, defaults)) continue;
    text += fmt::format("{} {}\n", info.name, FormatSettingLine(info, settings));
  }
  return text;
}

std::string FormatChanges(std::span<const NameValue> changes) {
  std::string text;
  for (const NameValue& change : changes) {
    text += QuoteWord(change.name) + " " + QuoteWord(change.value) + " ";
  }
  return text;
}

std::vector<NameValue> ParseChanges(std::string_view text) {
  auto words = SplitWords(text);
  std::vector<NameValue> changes;
  for (size_t i = 0; words.ok() && i + 1 < words->size(); i += 2) {
    changes.push_back({std::move(words.value()[i]), std::move(words.value()[i + 1])});
  }
  return changes;
}

// An answer's text: nothing for success, else the error's code as one byte and its message.
std::string FormatOutcome(const Status& outcome) {
  if (outcome.ok()) return {};
  std::string text(1, static_cast<char>(outcome.error().code));
  text += outcome.error().message;
  return text.substr(0, kMaxAnswerBytes);
}

Status ParseOutcome(std::string_view text) {
  if (text.empty()) return {};
  return Error{static_cast<ErrorCode>(text[0]), std::string(text.substr(1))};
}

// Puts the request into the area; returns its number.
uint32_t SubmitRequest(std::string_view text, Owner self) {
  SharedSettingsArea& area = Area();
  const uint32_t number = area.request_started.load(std::memory_order_relaxed) + 1;
  // Before the bytes: the postmaster, reading a dead one's request, sees that it is no longer
  // whole.
  StoreBefore(area.request_started, number);
  area.requester.store(Pack(self), std::memory_order_release);
  area.request.Store(text);
  StoreAfter(area.request_number, number);
  return number;
}

}  // namespace

void BindSharedSettings(std::byte* area) {
  internal::g_settings_area = reinterpret_cast<SharedSettingsArea*>(area);
  internal::g_settings_generation = 0;
}

Status CheckPublishable(const Settings& settings) {
  const size_t bytes = FormatSettings(settings).size();
  if (bytes <= kMaxPublishedBytes) return {};
  return MakeError(ErrorCode::kGeneric,
                   "all settings that differ from their defaults take {} bytes; allowed {}", bytes,
                   kMaxPublishedBytes);
}

void PublishSettings(const Settings& settings) {
  if (internal::g_settings_area == nullptr) return;
  SharedSettingsArea& area = Area();
  const uint32_t next = area.generation.load(std::memory_order_relaxed) + 1;
  area.copies[next % 2].Store(FormatSettings(settings));
  // After the text: whoever sees the number finds the text whole. The postmaster uses what it
  // publishes, so its own generation goes along, and its children inherit both.
  StoreAfter(area.generation, next);
  internal::g_settings_generation = next;
}

std::optional<SettingsRequest> FetchSettingsRequest() {
  if (internal::g_settings_area == nullptr) return std::nullopt;
  SharedSettingsArea& area = Area();
  const uint32_t number = area.request_number.load(std::memory_order_acquire);
  if (number == area.answered.load(std::memory_order_relaxed)) return std::nullopt;
  const Owner requester = Unpack(area.requester.load(std::memory_order_acquire));
  const std::string text = area.request.Load();
  // Another request begun meanwhile: the requester of this one is dead, and the other's wake-up
  // comes.
  if (area.request_started.load(std::memory_order_acquire) != number) return std::nullopt;
  return SettingsRequest{number, requester, ParseChanges(text)};
}

void AnswerSettingsRequest(uint32_t number, const Status& outcome) {
  SharedSettingsArea& area = Area();
  area.answer.Store(FormatOutcome(outcome));
  StoreAfter(area.answered, number);
}

bool internal::RenewSettingsSlowly() {
  const SharedSettingsArea& area = Area();
  uint32_t generation = area.generation.load(std::memory_order_acquire);
  std::string text;
  for (;;) {
    text = area.copies[generation % 2].Load();
    const uint32_t now = area.generation.load(std::memory_order_acquire);
    if (now == generation) break;
    generation = now;
  }
  LoadedSettings loaded;
  const Status parsed = LoadConfigText(text, "shared settings", loaded);
  CHECK(parsed.ok(), "{}", parsed.error().message);
  g_settings_generation = generation;
  const Settings former = GetSettings();
  if (const Status used = UseSettings(loaded.settings); !used.ok()) {
    // This process cannot open the log file that the postmaster could: all else still holds.
    log::Warning("{}", used.error().message);
    loaded.settings.log_file = former.log_file;
    (void)UseSettings(std::move(loaded.settings));
  }
  return true;
}

Status ConfigSet(std::span<const NameValue> changes, Owner self,
                 FunctionRef<void()> wake_postmaster, FunctionRef<bool()> wait) {
  // What cannot succeed does not trouble the postmaster.
  ASSIGN_OR_RETURN([[maybe_unused]] const Settings checked, ApplyConfigSet(changes, GetSettings()));
  const std::string text = FormatChanges(changes);
  if (text.size() > kMaxRequestBytes) {
    return MakeError(ErrorCode::kGeneric, "CONFIG SET failed - {} bytes of arguments; allowed {}",
                     text.size(), kMaxRequestBytes);
  }
  const uint32_t number = SubmitRequest(text, self);
  wake_postmaster();
  while (Area().answered.load(std::memory_order_acquire) != number) {
    if (!wait()) {
      return MakeError(ErrorCode::kShutdown, "interrupted while waiting for the postmaster");
    }
  }
  const Status outcome = ParseOutcome(Area().answer.Load());
  RenewSettings();
  return outcome;
}

}  // namespace warren

// How do settings get from the postmaster to every process, and CONFIG SET from a backend to the
// postmaster?
//
// The area in the segment, all zero at the start:
//
//   generation --+--> copies[generation % 2]   text of the settings in force, postmaster -> all
//                     the other copy           where the next ones are written
//   request      one CONFIG SET, backend -> postmaster
//   answer       its outcome,    postmaster -> backend
//
// Rules
//  1. The postmaster alone writes copies, generation and answer. It takes no lock and waits for
//     nobody.
//  2. A reader copies the text and then looks at the generation again: if it moved, the copy may
//  have
//     been written over meanwhile, and the reader starts again.
//  3. The request is written by whoever holds the settings lock exclusively, one at a time, until
//  its
//     answer is there. If that process dies, the next one overwrites the request; a late answer to
//     the dead one's has another number and is not taken for the new one's.
//  4. A change is in force in every process when the answer is there: each compares the generation
//     before its next command.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"
#include "conf/config_file.h"
#include "conf/settings.h"

namespace warren {

inline constexpr size_t kSharedSettingsBytes = 64 * 1024;

inline constexpr size_t kMaxPublishedBytes = 20 * 1024;
inline constexpr size_t kMaxRequestBytes = 16 * 1024;
inline constexpr size_t kMaxAnswerBytes = 4 * 1024;

// A text that one process writes while others may read it: they find a mixture at worst, and the
// numbers around it say whether they did.
template <size_t kBytes>
struct NumberedText {
  std::atomic<uint64_t> bytes;
  std::atomic<uint64_t> words[kBytes / 8];

  void Store(std::string_view text);  // at most kBytes
  std::string Load() const;
};

struct SharedSettingsArea {
  // -- Written by the postmaster.
  std::atomic<uint32_t> generation;  // after its copy; 0: nothing published yet
  std::atomic<uint32_t> answered;    // after `answer`: the number of the request it answers
  NumberedText<kMaxPublishedBytes> copies[2];
  NumberedText<kMaxAnswerBytes> answer;  // empty: done; else error code and text

  // -- Written by the holder of the settings lock.
  alignas(kCacheLineBytes) std::atomic<uint32_t> request_started;  // before the request's bytes
  std::atomic<uint32_t> request_number;                            // after them
  std::atomic<uint64_t> requester;  // slot and generation, for the wake-up
  NumberedText<kMaxRequestBytes> request;
};
static_assert(sizeof(SharedSettingsArea) <= kSharedSettingsBytes);

// Names the area, which must be all zero, in the postmaster before the first fork.
void BindSharedSettings(std::byte* area);

// -- The postmaster.

// The text that PublishSettings would publish is short enough for the area.
Status CheckPublishable(const Settings& settings);

// Makes `settings` those of every process at its next RenewSettings. Nothing happens before
// BindSharedSettings. Must be publishable.
void PublishSettings(const Settings& settings);

struct SettingsRequest {
  uint32_t number;
  Owner requester;
  std::vector<NameValue> changes;
};

// The request that waits for its answer, if there is one.
std::optional<SettingsRequest> FetchSettingsRequest();
void AnswerSettingsRequest(uint32_t number, const Status& outcome);

// -- Every other process.

namespace internal {
extern SharedSettingsArea* g_settings_area;
extern uint32_t g_settings_generation;
bool RenewSettingsSlowly();
}  // namespace internal

// The generation in force in this process.
inline uint32_t SettingsGeneration() { return internal::g_settings_generation; }

// Puts newly published settings in force here; true if there were any. One load when there are
// none, so a process calls it before each command.
inline bool RenewSettings() {
  using internal::g_settings_area;
  if (g_settings_area == nullptr || g_settings_area->generation.load(std::memory_order_acquire) ==
                                        internal::g_settings_generation) {
    return false;
  }
  return internal::RenewSettingsSlowly();
}

// CONFIG SET: all changes or none, in force in this process when it returns. The caller holds the
// settings lock exclusively. `wake_postmaster` is called once the request stands; then `wait` is
// called until the answer is there: it sleeps until the caller's latch is set or some time has
// passed, and returns false to give up (kShutdown).
Status ConfigSet(std::span<const NameValue> changes, Owner self,
                 FunctionRef<void()> wake_postmaster, FunctionRef<bool()> wait);

}  // namespace warren

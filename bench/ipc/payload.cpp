#include "bench/ipc/payload.h"

#include <fmt/format.h>

#include <cstring>

namespace warren::ipc {
namespace {

// Two words at once: both ends must be fast beside the mechanisms that they measure.
using Words __attribute__((vector_size(16))) = uint64_t;
constexpr size_t kWordBytes = sizeof(uint64_t);
constexpr uint64_t kWordsAtOnce = sizeof(Words) / kWordBytes;
constexpr uint64_t kStep = 0x9e37'79b9'7f4a'7c15;  // odd, so that no two words of 2^64 are equal

uint64_t Pack(MessageName name) { return uint64_t{name.sender} << 32 | name.number; }

// What word 0 would be if it were not the name.
uint64_t Seed(uint64_t name) { return (name ^ (name >> 29) ^ 0xbf58'476d'1ce4'e5b9) * kStep; }

Words FirstWords(uint64_t seed) { return Words{seed, seed + kStep}; }

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

void FillMessage(std::byte* at, size_t bytes, MessageName name) {
  const uint64_t packed = Pack(name);
  const uint64_t seed = Seed(packed);
  Words words = FirstWords(seed);
  size_t i = 0;
  for (; i + sizeof words <= bytes; i += sizeof words, words += kWordsAtOnce * kStep) {
    std::memcpy(at + i, &words, sizeof words);
  }
  for (; i + kWordBytes <= bytes; i += kWordBytes) {
    const uint64_t word = seed + i / kWordBytes * kStep;
    std::memcpy(at + i, &word, sizeof word);
  }
  std::memcpy(at, &packed, sizeof packed);
}

MessageName NameOf(std::span<const std::byte> message) {
  const auto packed = Load<uint64_t>(message.data());
  return {static_cast<uint32_t>(packed >> 32), static_cast<uint32_t>(packed)};
}

bool CheckMessage(std::span<const std::byte> message) {
  const auto packed = Load<uint64_t>(message.data());
  const uint64_t seed = Seed(packed);
  Words expected = FirstWords(seed);
  Words wrong = {};
  size_t i = 0;
  for (; i + sizeof expected <= message.size();
       i += sizeof expected, expected += kWordsAtOnce * kStep) {
    Words found = Load<Words>(message.data() + i);
    if (i == 0) found[0] = seed;  // the name, which is right by definition
    wrong |= found ^ expected;
  }
  uint64_t wrong_word = wrong[0] | wrong[1];
  for (; i + kWordBytes <= message.size(); i += kWordBytes) {
    const uint64_t found = i == 0 ? seed : Load<uint64_t>(message.data() + i);
    wrong_word |= found ^ (seed + i / kWordBytes * kStep);
  }
  return wrong_word == 0 && message.size() % kWordBytes == 0;
}

std::string MessageAccount::Take(std::span<const std::byte> message) {
  if (message.size() != bytes_) {
    return fmt::format("a message of {} bytes came where {} were due", message.size(), bytes_);
  }
  const MessageName name = NameOf(message);
  if (name.sender >= next_.size())
    return fmt::format("a message of unknown sender {}", name.sender);
  uint32_t& next = next_[name.sender];
  if (name.number != next) {
    return fmt::format("message {} of sender {} came where {} was due", name.number, name.sender,
                       next);
  }
  if (!CheckMessage(message)) {
    return fmt::format("message {} of sender {} is damaged", name.number, name.sender);
  }
  ++next;
  return {};
}

}  // namespace warren::ipc

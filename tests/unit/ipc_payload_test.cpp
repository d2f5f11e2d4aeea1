#include "bench/ipc/payload.h"

#include <doctest/doctest.h>

#include <array>

#include "bench/ipc/shared_record.h"

using namespace warren::ipc;

namespace {

std::vector<std::byte> Made(size_t bytes, MessageName name) {
  std::vector<std::byte> message(bytes);
  FillMessage(message.data(), bytes, name);
  return message;
}

}  // namespace

TEST_CASE("a message is whole as it was made, whatever its size and place") {
  for (const size_t bytes : std::array<size_t, 8>{8, 16, 24, 56, 64, 256, 4096, 4104}) {
    CAPTURE(bytes);
    const auto message = Made(bytes, {.sender = 3, .number = 77});
    CHECK(CheckMessage(message));
    CHECK(NameOf(message) == MessageName{.sender = 3, .number = 77});
    std::vector<std::byte> shifted(bytes + 1);
    FillMessage(shifted.data() + 1, bytes, {.sender = 3, .number = 77});
    CHECK(CheckMessage(std::span(shifted).subspan(1)));
  }
}

TEST_CASE("every single flipped bit is seen") {
  for (const size_t bytes : std::array<size_t, 3>{16, 56, 136}) {
    const MessageName name = {.sender = 1, .number = 5};
    auto message = Made(bytes, name);
    for (size_t bit = 0; bit < bytes * 8; ++bit) {
      const auto mask = static_cast<std::byte>(1 << bit % 8);
      message[bit / 8] ^= mask;
      // In the name the rest betrays it, or the receiver's account of what is due.
      CHECK((!CheckMessage(message) || NameOf(message) != name));
      message[bit / 8] ^= mask;
    }
    CHECK(CheckMessage(message));
  }
}

TEST_CASE("a message put together of two is seen, wherever it is torn") {
  const auto first = Made(256, {.sender = 0, .number = 8});
  const auto second = Made(256, {.sender = 0, .number = 9});
  for (size_t at = 8; at < 256; at += 8) {
    auto torn = first;
    std::copy(second.begin() + static_cast<long>(at), second.end(),
              torn.begin() + static_cast<long>(at));
    CHECK_FALSE(CheckMessage(torn));
  }
}

TEST_CASE(
    "the account notices what is lost, doubled, out of order, of nobody, or of another size") {
  MessageAccount account(2, 64);
  const auto take = [&](uint32_t sender, uint32_t number, size_t bytes = 64) {
    return account.Take(Made(bytes, {.sender = sender, .number = number}));
  };
  CHECK(take(0, 0).empty());
  CHECK(take(1, 0).empty());
  CHECK(take(0, 1).empty());
  CHECK(take(0, 3) == "message 3 of sender 0 came where 2 was due");
  CHECK(take(0, 1) == "message 1 of sender 0 came where 2 was due");
  CHECK(take(2, 0) == "a message of unknown sender 2");
  CHECK(take(1, 1, 72) == "a message of 72 bytes came where 64 were due");
  auto damaged = Made(64, {.sender = 1, .number = 1});
  damaged[63] ^= std::byte{1};
  CHECK(account.Take(damaged) == "message 1 of sender 1 is damaged");
  CHECK(take(1, 1).empty());
}

TEST_CASE("a record of words from two versions is not whole") {
  RecordCopy copy;
  for (size_t i = 0; i < kRecordWords; ++i) copy[i] = 41 + i;
  CHECK(IsWhole(copy));
  for (size_t torn = 1; torn < kRecordWords; ++torn) {
    RecordCopy mixed = copy;
    for (size_t i = torn; i < kRecordWords; ++i) ++mixed[i];
    CHECK_FALSE(IsWhole(mixed));
  }
}

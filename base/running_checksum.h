// Are these bytes, which come piece by piece, the ones that were written?
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace warren {

// XXH3, 64 bits, without a seed.
class RunningChecksum {
 public:
  RunningChecksum();
  ~RunningChecksum();
  RunningChecksum(RunningChecksum&&) noexcept;
  RunningChecksum& operator=(RunningChecksum&&) noexcept;

  void Add(std::span<const std::byte> bytes);
  uint64_t Value() const;  // of all bytes added so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warren

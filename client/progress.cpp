#include "client/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"

namespace warren {
namespace {

constexpr int64_t kDrawEveryNs = 100'000'000;
constexpr uint64_t kBarWidth = 30;
// A shorter step is over before its tenths would be read.
constexpr uint64_t kTenthsFromBytes = 100 << 20;

std::string Megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { ClearLine(); }

void Progress::ClearLine() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

void Progress::Begin(const std::string& step, uint64_t total) {
  step_ = step;
  total_ = total;
  done_ = 0;
  began_ns_ = MonotonicNs();
  next_draw_ns_ = 0;
  next_tenth_ = 1;
  if (terminal_) return Draw();
  Say(total == 0 ? step : fmt::format("{}: {}", step, Megabytes(total)));
}

void Progress::Advance(uint64_t bytes) {
  done_ += bytes;
  if (terminal_ && MonotonicNs() >= next_draw_ns_) return Draw();
  if (terminal_ || total_ < kTenthsFromBytes || done_ * 10 < next_tenth_ * total_) return;
  next_tenth_ = done_ * 10 / total_ + 1;
  Say(fmt::format("{}: {} % of {}", step_, done_ * 100 / total_, Megabytes(total_)));
}

void Progress::Draw() {
  const int64_t now_ns = MonotonicNs();
  next_draw_ns_ = now_ns + kDrawEveryNs;
  drawn_ = true;
  if (total_ == 0) {
    fmt::print(stderr, "\r\x1b[K{}", step_);
    return;
  }
  const uint64_t done = std::min(done_, total_);
  const uint64_t filled = kBarWidth * done / total_;
  const double seconds = std::max(static_cast<double>(now_ns - began_ns_) / 1e9, 1e-3);
  fmt::print(stderr, "\r\x1b[K{} [{}{}] {:3} %  {} of {}, {}/s", step_, std::string(filled, '#'),
             std::string(kBarWidth - filled, '.'), done * 100 / total_, Megabytes(done),
             Megabytes(total_),
             Megabytes(static_cast<uint64_t>(static_cast<double>(done) / seconds)));
}

void Progress::Say(const std::string& line) {
  ClearLine();
  fmt::print(stderr, "{}\n", line);
}

}  // namespace warren

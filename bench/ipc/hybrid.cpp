// 6. From which size on is it better to send a number than the bytes?
#include <algorithm>
#include <array>

#include "bench/ipc/channel_trials.h"
#include "bench/ipc/descriptor_channels.h"
#include "bench/ipc/measurements.h"

namespace warren::ipc {
namespace {

constexpr size_t kFrames = 8;

struct Size {
  size_t bytes;
  uint32_t frames;  // in full
};
constexpr std::array<Size, 8> kSizes = {{
    {1 << 10, 131'072},
    {4 << 10, 131'072},
    {16 << 10, 65'536},
    {64 << 10, 16'384},
    {256 << 10, 4'096},
    {1 << 20, 1'024},
    {4 << 20, 256},
    {8 << 20, 128},
}};

struct Candidate {
  const char* mechanism;
  MadeChannel (*make)(const ChannelPlan& plan);
};
const std::array<Candidate, 2> kCandidates = {{
    {names::kUnixStream, MakeUnixStream},
    {"shared pool + unix socket", MakePool},
}};

}  // namespace

Plan PlanHybrid(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "hybrid",
      .title = "frames: in a shared pool, with an 8-byte message over a Unix socket, or through it",
      .notes = {"pool: made and looked at where they lie; the number of the frame goes there, and "
                "comes back when it may be used again. Both sleep in the kernel."},
      .variant_name = "frame",
      .columns = {columns::Rate(), columns::Cpu(), columns::Sleeps()},
      .plot = {.kind = PlotKind::kLines,
               .column = 0,
               .log_x = true,
               .log_y = true,
               .x_label = "bytes of a frame"},
      .rows = {}};
  for (const Size& size : kSizes) {
    for (const Candidate& candidate : kCandidates) {
      Row row;
      row.mechanism = candidate.mechanism;
      row.variant = FormatBytes(size.bytes);
      row.at = static_cast<double>(size.bytes);
      const TransferPlan transfer = {.message_bytes = size.bytes,
                                     .senders = 1,
                                     .messages = std::max(effort.Scaled(size.frames, 16), 32u)};
      plan.trials.push_back(TransferTrial(row, candidate.make, {.places = kFrames}, transfer));
    }
  }
  return plan;
}

}  // namespace warren::ipc

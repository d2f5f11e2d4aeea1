#include "postmaster/background_writer.h"

#include <algorithm>
#include <cstdint>

#include "base/log.h"
#include "conf/settings.h"
#include "postmaster/aux_processes.h"
#include "shmem/buffer_cache.h"
#include "shmem/latch.h"

namespace warren {
namespace {

// A round looks at this many buffers per page it may write: clean ones cost next to nothing.
constexpr uint32_t kLookAheadFactor = 4;
constexpr int64_t kLongestSleepFactor = 50;  // of bgwriter_delay, after many rounds without work

class BackgroundWriter {
 public:
  // One round; true if it wrote something.
  bool WriteDueBuffers() {
    const uint32_t write_at_most = GetSettings().bgwriter_max_pages;
    if (write_at_most == 0) return false;
    const auto written = BufferCache::WriteAhead(write_at_most * kLookAheadFactor, write_at_most);
    ReportFailure(written.ok() ? std::string() : written.error().message);
    return written.ok() && *written > 0;
  }

  int64_t NextSleepMs(bool wrote) {
    const int64_t delay = GetSettings().bgwriter_delay_ms;
    sleep_ms_ = wrote ? delay : std::min(sleep_ms_ * 2, delay * kLongestSleepFactor);
    sleep_ms_ = std::max(sleep_ms_, delay);
    return sleep_ms_;
  }

 private:
  // A full disk would fail every round: it is logged when it begins and when it has ended.
  void ReportFailure(const std::string& message) {
    if (!message.empty() && message != failure_) log::Warning("cannot write ahead: {}", message);
    if (message.empty() && !failure_.empty()) log::Notice("writing ahead works again");
    failure_ = message;
  }

  int64_t sleep_ms_ = 0;
  std::string failure_;
};

}  // namespace

int BackgroundWriterMain() {
  BackgroundWriter writer;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    const bool wrote = writer.WriteDueBuffers();
    Latch::Wait(writer.NextSleepMs(wrote));
  }
  return IsClosingTime() ? 0 : kEndedEarly;
}

}  // namespace warren

// How does a backend wait for its client's next bytes?
//
// A process per client pays for waiting in two places: falling asleep and being woken costs more
// than a command, and a woken process takes the processor from one that still has work. So:
//
//   alone, a processor to spare   look again and again for a short while (spin), then sleep: the
//                                 client's next request usually comes before sleeping would pay
//   others are at work            offer them the processor once (yield), then sleep: meanwhile the
//                                 next request often arrives, and the sleep does not happen
//   the same, but other programs  sleep, where all together are served faster then
//   want the processors           (shmem/crowd_trial.h)
//   the same, but the client      sleep: so many commands lie between two waits that a yield only
//   sends many at once            adds a switch of processes to the sleep
//   alone, but the client thinks  sleep: there is nobody of ours to yield to
//   alone, but other programs     sleep, where requests come faster then (spin_trial.h), and after
//   want the processors           the process has lost its processor (spin_backoff.h)
//
// Whether others are at work is ServerState::working_backends. An idle server uses no processor
// time under either. README.md has the figures.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/spin_backoff.h"
#include "backend/spin_trial.h"

namespace warren {

class ClientWait {
 public:
  // Counts this process as working until it is destroyed. From the third wait on the kernel is also
  // asked to treat it as batch work as long as others are at work: a wake-up does not interrupt
  // whoever runs. Alone, it would only come later behind what else the machine does.
  ClientWait();
  ~ClientWait();
  ClientWait(const ClientWait&) = delete;
  ClientWait& operator=(const ClientWait&) = delete;

  // One recv on the socket that Latch guards, after waiting as wait_policy says. Result and errno
  // are recv's: EAGAIN and EINTR also stand for a wake-up (Latch::Pending()), and EAGAIN for
  // SO_RCVTIMEO.
  ssize_t Receive(int fd, std::span<char> space);

  // While asleep elsewhere for the client's sake.
  void SetWorking(bool working);

 private:
  enum class Way : uint8_t { kSleep, kSpin, kYield };
  Way Choose();
  ssize_t Await(int fd, std::span<char> space);
  ssize_t Spin(int fd, std::span<char> space);
  ssize_t Sleep(int fd, std::span<char> space);
  static void Recount();
  void SetBatchWork(bool batch_work);

  uint32_t waits_ = 0;
  uint32_t vain_spins_ = 0;       // in a row
  uint32_t uncrowded_waits_ = 0;  // in a row
  int32_t processors_;
  bool batch_work_ = false;  // to the kernel
  SpinTrial trial_;
  SpinBackoff backoff_;
  bool batch_ = false;  // what was received last
};

}  // namespace warren

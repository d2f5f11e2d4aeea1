// In which phase is the server, and what ends a phase?
//
//   starting ------> running ------> ending sessions ------> closing ------> end
//       |               |                  |                    |
//       +---------------+------ killing <--+--------------------+
//                                  |
//                                  +--> end (exit code 1, or 0 if it was asked for): the next start
//                                       recovers the data from the log
//
//   phase            facts                                              ends when
//   starting         the startup process works (redo)                   it exits: 0 running, else
//                                                                       killing
//   running          clients are accepted, auxiliary processes run      a shutdown, a crash
//   ending sessions  nobody is accepted; sessions end by themselves     no backend is left
//                    (smart) or were told to (fast: SIGTERM, and
//                    SIGKILL after shutdown_timeout)
//   closing          no backend; the checkpointer writes everything     no child is left
//                    out, the other processes end
//   killing          all got SIGQUIT, SIGKILL follows after 5 s         no child is left: end, or
//                                                                       after a crash starting
//                                                                       again
//
// One thread, one event loop; never takes an LWLock, never waits for a child or a client.
#pragma once

#include <memory>
#include <vector>

#include "conf/server_settings.h"
#include "postmaster/listener.h"
#include "postmaster/pid_file.h"
#include "postmaster/private_descriptors.h"

namespace asio {
class io_context;
}

namespace warren {

class EventLoop;

// What a server that can run has: made by serve.cpp in the right order.
struct PostmasterParts {
  EventLoop& loop;
  ServerSettings settings;
  std::vector<Listener> listeners;
  std::vector<DescriptorRange> private_descriptors;
  PidFile pid_file;
  PidFileContent pid_file_content;
};

// The event loop with the postmaster's signals: made first, so that no signal is lost or fatal
// while the server is being put together.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

 private:
  friend class Postmaster;
  struct Asio;
  std::unique_ptr<Asio> asio_;
};

// Until the end of the server; its exit code. The segment exists and the data directory is open.
int RunPostmaster(PostmasterParts parts);

}  // namespace warren

#include "client/interrupt.h"

#include <csignal>

namespace warren {
namespace {

volatile sig_atomic_t g_interrupted = 0;

void Note(int) { g_interrupted = 1; }

}  // namespace

void CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = Note;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

Status CheckInterrupted() {
  if (g_interrupted == 0) return {};
  return MakeError(ErrorCode::kShutdown, "interrupted");
}

}  // namespace warren

#include "backend/client_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "base/clock.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {

bool ClientFilter::Matches(const ClientInfo& client) const {
  if (nobody) return false;
  if (!ids.empty() && std::ranges::find(ids, client.client_id.load()) == ids.end()) return false;
  if (address && client.address.Get() != *address) return false;
  return !local_address || client.local_address.Get() == *local_address;
}

void ForEachClient(FunctionRef<void(const Proc& proc, Owner owner)> visit) {
  const ProcArray procs = Segment::Procs();
  for (SlotIndex slot = 0; slot < procs.size(); ++slot) {
    const Proc& proc = procs[slot];
    const Owner owner{slot, proc.generation.load()};
    if (proc.life.load() != ProcLife::kRunning || proc.kind.load() != ProcessKind::kBackend)
      continue;
    // Not yet introduced: the slot shows its former client.
    if (proc.client.client_id.load() == 0) continue;
    visit(proc, owner);
  }
}

std::string DescribeClient(const Proc& proc, Owner owner) {
  const ClientInfo& client = proc.client;
  const int64_t now_us = WallClockUs();
  std::string flags;
  if (client.unix_socket != 0) flags += 'U';
  const int32_t queued = client.queued_commands.load();
  if (queued >= 0) flags += 'x';
  if (client.no_evict != 0) flags += 'e';
  if (flags.empty()) flags += 'N';
  const std::string_view command = client.last_command.Get();
  std::string line = fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 "
      "multi={} watch={}",
      client.client_id.load(), client.address.Get(), client.local_address.Get(),
      client.socket_fd.load(), client.name.Get(), (now_us - client.connected_us) / 1'000'000,
      (now_us - client.last_active_us) / 1'000'000, flags, client.database.load(), queued,
      client.watched_keys.load());
  line += fmt::format(
      " qbuf={} omem={} cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={} pid={} slot={} "
      "wait={}",
      client.query_bytes.load(), client.output_bytes.load(), command.empty() ? "NULL" : command,
      client.resp_version.load(), client.library_name.Get(), client.library_version.Get(),
      proc.pid.load(), owner.slot, WaitEventText(proc.locks.wait_event.load()));
  return line;
}

void RequestEnd(Owner owner) {
  const ProcArray procs = Segment::Procs();
  // Before the wake-up, which makes the process look. If the slot has another process by now, this
  // names a use of it that is over and means nothing.
  procs[owner.slot].end_requested.store(owner.generation);
  SetLatch(procs, owner);
  // It kills those that do not end in time: one that hangs or is stopped never looks.
  kill(Segment::Server().postmaster_pid.load(), SIGURG);
}

}  // namespace warren

#include "shmem/proc.h"

#include <unistd.h>

#include <cstdlib>

#include "base/check.h"
#include "base/clock.h"
#include "base/ordered_store.h"

namespace warren {
namespace {

constexpr ProcessKindInfo kProcessKinds[] = {
#define WARREN_PROCESS_KIND(id, name, autostart, help) {name, autostart, help},
#include "shmem/process_kind_list.def"
#undef WARREN_PROCESS_KIND
};

// Thread-local only for the tests, which run the same bodies as threads.
constinit thread_local Proc* t_self = nullptr;
constinit thread_local SlotIndex t_slot = kNoSlot;

// What a former process of the slot left in fields that are not counters.
void Renew(Proc& proc, ProcessKind kind) {
  proc.kind.store(kind, std::memory_order_relaxed);
  proc.pid.store(0, std::memory_order_relaxed);
  proc.wait_status.store(0, std::memory_order_relaxed);
  proc.start_us.store(WallClockUs(), std::memory_order_relaxed);
  proc.reaped_ns.store(0, std::memory_order_relaxed);
  proc.killed_ns.store(0, std::memory_order_relaxed);
  proc.locks.wait_event.store(0, std::memory_order_relaxed);
  proc.op_start.store(0, std::memory_order_relaxed);
  proc.commit_lsn.store(0, std::memory_order_relaxed);
  proc.commit_end.store(0, std::memory_order_relaxed);
  proc.wal_hold.store(0, std::memory_order_relaxed);
  proc.settings_generation.store(0, std::memory_order_relaxed);
  ClientInfo& client = proc.client;
  client.client_id.store(0, std::memory_order_relaxed);
  for (auto* text : {&client.address, &client.local_address}) text->Set("");
  client.name.Set("");
  for (auto* text : {&client.library_name, &client.library_version, &client.last_command})
    text->Set("");
  client.connected_us.store(0, std::memory_order_relaxed);
  client.last_active_us.store(0, std::memory_order_relaxed);
  client.database.store(0, std::memory_order_relaxed);
  client.query_bytes.store(0, std::memory_order_relaxed);
  client.output_bytes.store(0, std::memory_order_relaxed);
  client.output_limit_hits.store(0, std::memory_order_relaxed);
  client.socket_fd.store(-1, std::memory_order_relaxed);
  client.resp_version.store(2, std::memory_order_relaxed);
  client.in_command.store(0, std::memory_order_relaxed);
  client.working.store(0, std::memory_order_relaxed);
  client.no_evict.store(0, std::memory_order_relaxed);
  client.unix_socket.store(0, std::memory_order_relaxed);
}

}  // namespace

std::span<const ProcessKindInfo> ProcessKinds() { return kProcessKinds; }

const ProcessKindInfo& GetProcessKind(ProcessKind kind) {
  return kProcessKinds[static_cast<size_t>(kind)];
}

Owner ProcArray::GiveOut(SlotIndex slot, ProcessKind kind) const {
  Proc& proc = slots_[slot];
  CHECK(proc.life.load() == ProcLife::kFree, "slot {} is not free", slot);
  Renew(proc, kind);
  const uint32_t generation = proc.generation.load(std::memory_order_relaxed) + 1;
  proc.generation.store(generation, std::memory_order_relaxed);
  proc.life.store(ProcLife::kStarting);
  return {slot, generation};
}

SlotIndex ProcArray::FindFree(SlotIndex begin) const {
  for (SlotIndex slot = begin; slot < slots_.size(); ++slot) {
    if (slots_[slot].life.load() == ProcLife::kFree) return slot;
  }
  return kNoSlot;
}

void ProcArray::BindSelf(Proc* self, SlotIndex slot) {
  t_self = self;
  t_slot = slot;
}

void ProcArray::EnterRunning() {
  t_self->pid.store(getpid());
  t_self->life.store(ProcLife::kRunning);
}

void ProcArray::EnterExited() { t_self->life.store(ProcLife::kExited); }

void ProcArray::AbortDeclaredClean() {
  // Before the death that it speaks of.
  StoreBefore(t_self->declared_clean, t_self->generation.load(std::memory_order_relaxed));
  std::abort();
}

Proc& ProcArray::Self() {
  CHECK(t_self != nullptr, "this process has no slot");
  return *t_self;
}

Proc* ProcArray::SelfOrNull() { return t_self; }

Owner ProcArray::SelfOwner() { return {t_slot, Self().generation.load(std::memory_order_relaxed)}; }

Lsn ProcArray::OldestWalHold(Lsn otherwise) const {
  Lsn oldest = otherwise;
  for (const Proc& proc : slots_) {
    if (proc.life.load() != ProcLife::kRunning) continue;
    const Lsn lsn = proc.wal_hold.load();
    if (lsn != 0 && lsn < oldest) oldest = lsn;
  }
  return oldest;
}

Lsn ProcArray::OldestCommit() const {
  Lsn oldest = 0;
  // Of dead processes, too: their commits have still to be finished.
  for (const Proc& proc : slots_) {
    const Lsn lsn = proc.commit_lsn.load();
    if (lsn != 0 && (oldest == 0 || lsn < oldest)) oldest = lsn;
  }
  return oldest;
}

Lsn ProcArray::OldestOpStart(Lsn otherwise) const {
  Lsn oldest = 0;
  for (const Proc& proc : slots_) {
    if (proc.life.load() == ProcLife::kFree) continue;  // left behind by a process that was killed
    const Lsn lsn = proc.op_start.load();
    if (lsn != 0 && (oldest == 0 || lsn < oldest)) oldest = lsn;
  }
  return oldest != 0 ? oldest : otherwise;
}

}  // namespace warren

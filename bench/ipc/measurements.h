// Which seven questions does the lab ask of this machine?
#pragma once

#include <array>
#include <string_view>

#include "bench/ipc/figures.h"

namespace warren::ipc {

Plan PlanLatency(const Effort& effort);
Plan PlanThroughput(const Effort& effort);
Plan PlanTax(const Effort& effort);
Plan PlanProducers(const Effort& effort);
Plan PlanReaders(const Effort& effort);
Plan PlanHybrid(const Effort& effort);
Plan PlanDeath(const Effort& effort);

struct MeasurementKind {
  std::string_view name;  // for --only
  Plan (*plan)(const Effort& effort);
  std::string_view question;
};

inline constexpr std::array<MeasurementKind, 7> kMeasurements = {{
    {"latency", PlanLatency, "how long is a small message on its way?"},
    {"throughput", PlanThroughput, "how many messages a second, at what cost in processor time?"},
    {"tax", PlanTax, "what does a lock cost beside none?"},
    {"producers", PlanProducers, "what if several send to one?"},
    {"readers", PlanReaders, "what does reading state cost that others change now and then?"},
    {"hybrid", PlanHybrid, "from which size on is it better to send a number than the bytes?"},
    {"death", PlanDeath, "what happens when a process is killed inside a lock?"},
}};

// Columns that several measurements have in common.
namespace columns {
inline Column Rate() { return {"messages/s", "1/s", 0, Better::kMore}; }
inline Column Cpu() { return {"CPU ns/message", "ns", 0, Better::kLess}; }
inline Column Sleeps() { return {"sleeps/message", "", 2, Better::kLess}; }
}  // namespace columns

// Names of mechanisms that more than one measurement has, so that they are the same in all.
namespace names {
inline constexpr const char* kRing = "spsc ring";
inline constexpr const char* kReference = "by reference";
inline constexpr const char* kPipe = "pipe";
inline constexpr const char* kSplicedPipe = "pipe, vmsplice";
inline constexpr const char* kUnixStream = "unix socket";
inline constexpr const char* kUnixDatagram = "unix datagram";
inline constexpr const char* kPosixQueue = "mqueue";
inline constexpr const char* kTcp = "tcp";
}  // namespace names

}  // namespace warren::ipc

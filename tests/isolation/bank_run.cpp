#include "tests/isolation/bank_run.h"

#include <algorithm>
#include <memory>

#include "tests/isolation/bank_client.h"

namespace warren::test {

BankResult RunBank(Server& server, const BankRun& run, uint64_t seed) {
  OpenBank(server);
  std::vector<std::unique_ptr<BankClient>> clients;
  std::vector<RandomClient*> workers;
  for (int i = 0; i < run.clients; ++i) {
    clients.push_back(std::make_unique<BankClient>(i, seed, run.faults.cuts));
    workers.push_back(clients.back().get());
  }
  BankResult result;
  result.run = RunClients(server, workers, run.duration, run.faults, seed);
  for (const auto& client : clients) {
    result.transfers += client->transfers();
    result.counts += client->counts();
    for (const std::string& finding : client->findings()) result.findings.push_back(finding);
  }
  int64_t sum = 0;
  const Reply all = server.Command("RANGE", "a", "b", "WITHVALUES");
  for (size_t i = 1; i < all.elements.size(); i += 2) sum += std::stoll(all.elements[i].text);
  if (sum != kSumOfAccounts) result.findings.push_back("at the end: " + std::to_string(sum));
  return result;
}

std::string BankResult::text() const {
  std::string text = std::to_string(transfers) + " transfers, " + std::to_string(counts) +
                     " counts, " + run.text();
  const size_t shown = std::min<size_t>(findings.size(), 10);
  for (size_t i = 0; i < shown; ++i) text += "  " + findings[i] + "\n";
  if (shown < findings.size())
    text += "  and more, " + std::to_string(findings.size()) + " in all\n";
  return text;
}

}  // namespace warren::test

#include "tests/isolation/history_run.h"

#include <memory>

#include "tests/isolation/history_client.h"

namespace warren::test {

HistoryResult RunHistory(Server& server, const HistoryRun& run, uint64_t seed) {
  History history;
  history.transactions.push_back(PrepareHistory(server, run.elements, run.spread));
  std::vector<std::unique_ptr<HistoryClient>> clients;
  std::vector<RandomClient*> workers;
  for (int i = 0; i < run.clients; ++i) {
    clients.push_back(std::make_unique<HistoryClient>(i, seed, run.faults.cuts));
    workers.push_back(clients.back().get());
  }
  HistoryResult result;
  result.run = RunClients(server, workers, run.duration, run.faults, seed);
  history.at_the_end = ReadHistoryKeys(server);
  for (const auto& client : clients) {
    for (const HistoryTransaction& transaction : client->history()) {
      result.committed += transaction.outcome == HistoryTransaction::kCommitted ? 1 : 0;
      result.aborted += transaction.outcome == HistoryTransaction::kAborted ? 1 : 0;
      result.unknown += transaction.outcome == HistoryTransaction::kUnknown ? 1 : 0;
      history.transactions.push_back(transaction);
    }
  }
  result.anomalies = CheckHistory(history);
  return result;
}

std::string HistoryResult::text() const {
  std::string text = std::to_string(committed) + " committed, " + std::to_string(aborted) +
                     " aborted, " + std::to_string(unknown) + " without an answer, " + run.text();
  for (const Anomaly& anomaly : anomalies) {
    text += "  " + std::string(AnomalyName(anomaly.kind)) + ": " + anomaly.text + "\n";
  }
  return text;
}

}  // namespace warren::test

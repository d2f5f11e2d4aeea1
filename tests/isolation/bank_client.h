// Which transfers does a client of the bank make, and how does it count the money?
//
// Accounts: their sum never changes. Tokens: keys that are renamed, so that there are always
// equally many of them. Both are moved by BEGIN, MULTI and commands on several keys, and counted by
// every means that promises to show one moment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/isolation/random_client.h"

namespace warren::test {

inline constexpr int kAccounts = 24;
inline constexpr int kTokens = 6;
inline constexpr int64_t kSumOfAccounts = 100 * kAccounts;

void OpenBank(Server& server);

class BankClient : public RandomClient {
 public:
  BankClient(int number, uint64_t seed, unsigned cuts) : RandomClient(number, seed, cuts) {}
  // Counts that were wrong.
  const std::vector<std::string>& findings() const { return findings_; }
  uint64_t transfers() const { return transfers_; }
  uint64_t counts() const { return counts_; }

 private:
  void OneTransaction() override;

  void TransferInteractively(bool locks_first);
  void TransferQueued();
  void TransferWatched();
  void MoveToken();
  void CountBySum();
  void CountByNumber();

  // In a transaction. False: it was aborted by an error of locks, and has been rolled back.
  bool Inside(const Words& words, Reply& reply);
  void CheckSum(const Words& how, const std::vector<Reply>& values);
  void CheckNumber(const Words& how, const Reply& reply);
  int64_t RandomAmount() { return static_cast<int64_t>(Random(9)) - 4; }

  std::vector<std::string> findings_;
  uint64_t transfers_ = 0;
  uint64_t counts_ = 0;
};

}  // namespace warren::test

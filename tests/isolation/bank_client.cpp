#include "tests/isolation/bank_client.h"

#include <cstdlib>
#include <utility>

namespace warren::test {
namespace {

// Three digits, so that keys of all kinds lie between each other: a000 ... a023.
std::string Numbered(char kind, uint64_t number) {
  std::string digits = std::to_string(number);
  return kind + std::string(3 - digits.size(), '0') + digits;
}

std::string Account(uint64_t number) { return Numbered('a', number); }

// A token has one of two names.
std::string Token(uint64_t number, bool other) { return Numbered(other ? 'u' : 't', number); }

int64_t NumberIn(const Reply& reply) { return std::atoll(reply.text.c_str()); }

std::vector<std::string> GetAll(std::string_view command) {
  std::vector<std::string> words{std::string(command)};
  for (int i = 0; i < kAccounts; ++i) words.push_back(Account(static_cast<uint64_t>(i)));
  return words;
}

// The second of each two.
std::vector<Reply> ValuesOfPairs(const Reply& reply) {
  std::vector<Reply> values;
  for (size_t i = 1; i < reply.elements.size(); i += 2) values.push_back(reply.elements[i]);
  return values;
}

}  // namespace

void OpenBank(Server& server) {
  server.Command("FLUSHDB");
  for (int i = 0; i < kAccounts; ++i) {
    const auto number = static_cast<uint64_t>(i);
    server.Command("SET", Account(number), "100");
    // What lies between keeps the accounts on several pages; another database isn't counted.
    server.Command("SET", Account(number) + "~", std::string(1500, '0'));
  }
  for (uint64_t i = 0; i < kTokens; ++i) server.Command("SET", Token(i, false), "0");
}

void BankClient::OneTransaction() {
  switch (Random(8)) {
    case 0:
      return TransferInteractively(/*locks_first=*/true);
    case 1:
      return TransferInteractively(/*locks_first=*/false);
    case 2:
      return TransferQueued();
    case 3:
      return TransferWatched();
    case 4:
      return MoveToken();
    case 5:
      return CountByNumber();
    default:
      return CountBySum();
  }
}

// -- Transfers

bool BankClient::Inside(const Words& words, Reply& reply) {
  reply = Ask(words);
  if (!reply.is_error()) return true;
  if (!IsLockError(reply)) Unexpected(words, reply);
  const Reply rolled_back = Ask({"ROLLBACK"});
  if (!rolled_back.ok()) Unexpected({"ROLLBACK"}, rolled_back);
  return false;
}

void BankClient::TransferInteractively(bool locks_first) {
  const std::string from = Account(Random(kAccounts)), to = Account(Random(kAccounts));
  const int64_t amount = RandomAmount();
  if (from == to) return;
  const char* read = locks_first ? "GETLOCK" : "GET";
  Reply left, right, reply;
  Ask({"BEGIN"});
  if (!Inside({read, from}, left) || !Inside({read, to}, right)) return;
  if (!Inside({"SET", from, std::to_string(NumberIn(left) - amount)}, reply)) return;
  if (OneOf(5)) {  // something that is not meant to last
    Ask({"SAVEPOINT", "s"});
    if (!Inside({"SET", to, "999999"}, reply)) return;
    Ask({"ROLLBACK", "TO", "s"});
  }
  if (!Inside({"SET", to, std::to_string(NumberIn(right) + amount)}, reply)) return;
  const bool commits = !OneOf(8);
  const Words end{commits ? "COMMIT" : "ROLLBACK"};
  if (reply = Ask(end); !reply.ok()) Unexpected(end, reply);
  transfers_ += commits ? 1 : 0;
}

void BankClient::TransferQueued() {
  const std::string from = Account(Random(kAccounts)), to = Account(Random(kAccounts));
  const std::string amount = std::to_string(RandomAmount());
  Ask({"MULTI"});
  Ask({"DECRBY", from, amount});
  Ask({"INCRBY", to, amount});
  const Reply reply = Ask({"EXEC"});
  if (reply.type != Reply::kArray && !IsTimeout(reply)) Unexpected({"EXEC"}, reply);
  transfers_ += IsLockError(reply) ? 0 : 1;
}

void BankClient::TransferWatched() {
  const std::string from = Account(Random(kAccounts)), to = Account(Random(kAccounts));
  const int64_t amount = RandomAmount();
  if (from == to) return;
  Ask({"WATCH", from, to});
  const Reply left = Ask({"GET", from}), right = Ask({"GET", to});
  if (left.is_error() || right.is_error()) {
    Ask({"UNWATCH"});
    return;
  }
  Ask({"MULTI"});
  Ask({"MSET", from, std::to_string(NumberIn(left) - amount), to,
       std::to_string(NumberIn(right) + amount)});
  const Reply reply = Ask({"EXEC"});
  if (!reply.nil() && reply.type != Reply::kArray && !IsTimeout(reply)) {
    Unexpected({"EXEC"}, reply);
  }
  if (!IsLockError(reply) && !reply.nil()) ++transfers_;
}

void BankClient::MoveToken() {
  const uint64_t number = Random(kTokens);
  const bool which = OneOf(2);
  const Words words{"RENAME", Token(number, which), Token(number, !which)};
  const Reply reply = Ask(words);
  if (!reply.ok() && !reply.is_error("ERR no such key") && !IsTimeout(reply)) {
    Unexpected(words, reply);
  }
}

// -- Counts

void BankClient::CountBySum() {
  Reply reply;
  switch (Random(6)) {
    case 0: {
      const Words words = GetAll("MGET");
      reply = Ask(words);
      if (!IsLockError(reply)) CheckSum({"MGET"}, reply.elements);
      return;
    }
    case 1:
      reply = Ask({"RANGE", "a", "b", "WITHVALUES"});
      if (!IsLockError(reply)) CheckSum({"RANGE"}, ValuesOfPairs(reply));
      return;
    case 2: {
      Ask({"MULTI"});
      for (int i = 0; i < kAccounts; ++i) Ask({"GET", Account(static_cast<uint64_t>(i))});
      reply = Ask({"EXEC"});
      if (!IsLockError(reply)) CheckSum({"MULTI", "GET", "EXEC"}, reply.elements);
      return;
    }
    case 3:
      Ask({"BEGIN", "READ", "ONLY"});
      if (!Inside({"RANGE", "a", "b", "WITHVALUES"}, reply)) return;
      CheckSum({"BEGIN", "RANGE"}, ValuesOfPairs(reply));
      break;
    case 4: {
      Ask({"BEGIN"});
      Reply keys;
      if (!Inside({"KEYS", "a???"}, keys)) return;
      Words words{"MGET"};
      for (const Reply& key : keys.elements) words.push_back(key.text);
      if (!Inside(words, reply)) return;
      CheckSum({"BEGIN", "KEYS", "MGET"}, reply.elements);
      break;
    }
    default: {
      Ask({"BEGIN"});
      std::vector<Reply> values(kAccounts);
      for (int i = 0; i < kAccounts; ++i) {
        if (!Inside({"GET", Account(static_cast<uint64_t>(i))}, values[static_cast<size_t>(i)])) {
          return;
        }
      }
      CheckSum({"BEGIN", "GET"}, values);
      break;
    }
  }
  if (reply = Ask({"COMMIT"}); !reply.ok()) Unexpected({"COMMIT"}, reply);
}

void BankClient::CheckSum(const Words& how, const std::vector<Reply>& values) {
  int64_t sum = 0;
  for (const Reply& value : values) sum += NumberIn(value);
  ++counts_;
  if (sum == kSumOfAccounts && values.size() >= kAccounts) return;
  std::string text = "client " + std::to_string(number()) + " counts";
  for (const std::string& word : how) text += " " + word;
  findings_.push_back(text + ": " + std::to_string(sum) + " in " + std::to_string(values.size()));
}

void BankClient::CountByNumber() {
  const Words words = OneOf(2)   ? Words{"DBSIZE"}
                      : OneOf(2) ? Words{"KEYS", "*"}
                                 : Words{"RANGE", "-", "+", "KEYS"};
  const bool inside = OneOf(3);
  Reply reply;
  if (inside) Ask({"BEGIN"});
  if (inside && !Inside(words, reply)) return;
  if (!inside) reply = Ask(words);
  if (inside) Ask({"COMMIT"});
  if (!IsLockError(reply)) CheckNumber(words, reply);
}

void BankClient::CheckNumber(const Words& how, const Reply& reply) {
  const int64_t found =
      reply.type == Reply::kInteger ? reply.integer : static_cast<int64_t>(reply.elements.size());
  ++counts_;
  if (found == 2 * kAccounts + kTokens) return;
  findings_.push_back("client " + std::to_string(number()) + " finds by " + how[0] + " " +
                      std::to_string(found) + " keys");
}

}  // namespace warren::test

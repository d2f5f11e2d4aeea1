// Is the server after hundreds of deaths what it was before the first one?
//
// Fifty clients (histories that are checked for strict serialisability, the bank, and journals of
// large values, appends and erased databases) while any process but the postmaster is killed, told
// to end, or stopped. Afterwards nobody saw anything impossible, every acknowledged write is there,
// and nothing that is taken and given back is left taken. WARREN_TEST_SEED repeats a run as far as
// the scheduler lets it.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/server_striker.h"
#include "tests/crash/torture_client.h"
#include "tests/isolation/bank_client.h"
#include "tests/isolation/expectation.h"
#include "tests/isolation/history_checker.h"
#include "tests/isolation/history_client.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

constexpr int kHistoryClients = 20;
constexpr int kBankClients = 22;
constexpr int kJournalClients = 8;
constexpr int kBankDatabase = 1;
constexpr int kFirstJournal = 9;  // those from 8 on have a database each, from the second on
constexpr int kUsedDatabases = 2 + kJournalClients;

using Counts = std::map<std::string, int64_t>;

Counts PairsOf(const Reply& reply) {
  Counts counts;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    counts[reply.elements[i].text] = reply.elements[i + 1].integer;
  }
  return counts;
}

std::string Text(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += name + " " + std::to_string(count) + ", ";
  return text;
}

class Soak {
 public:
  explicit Soak(uint64_t seed) : seed_(seed), striker_(server_, seed) {
    OpenJournals();
    at_the_start_ = SettledCounts();
    CHECK(at_the_start_["lock_entries"] == 0);
    descriptors_ = DescriptorCount(server_.pid());
    files_ = FileNames();
  }

  // A history of its own each time: they grow.
  void Round(Milliseconds length) {
    ++round_;
    Command({"SELECT", "0"});
    History history;
    history.transactions.push_back(PrepareHistory(server_, 0, round_ % 2 == 1));
    Command({"SELECT", std::to_string(kBankDatabase)});
    OpenBank(server_);
    Command({"SELECT", "0"});
    std::vector<std::unique_ptr<HistoryClient>> histories;
    std::vector<std::unique_ptr<BankClient>> banks;
    for (int i = 0; i < kHistoryClients; ++i) {
      histories.push_back(std::make_unique<HistoryClient>(i, seed_ + round_, 1));
    }
    for (int i = 0; i < kBankClients; ++i) {
      banks.push_back(std::make_unique<BankClient>(i, seed_ + round_, 1));
      banks.back()->UseDatabase(kBankDatabase);
    }
    LetWork(length, histories, banks);
    CheckHistories(std::move(history), histories);
    CheckBank(banks);
    for (const auto& journal : journals_) Expect(journal->Verify(server_));
    CheckNothingIsLeft();
  }

  // The same data after a start that has only the log and the files.
  void CheckNextStart() {
    Command({"SELECT", "0"});
    const auto before = ReadHistoryKeys(server_);
    server_.Kill();
    server_.Start();
    CHECK(ReadHistoryKeys(server_) == before);
    CheckSum();
    for (const auto& journal : journals_) Expect(journal->Verify(server_));
  }

  // With nothing in the store, no page is used that was not used at the start.
  void CheckEmptied() {
    REQUIRE(Command({"FLUSHALL"}).ok());
    OpenJournals();
    Counts counts;
    CHECK_MESSAGE(WaitUntil([&] {
                    counts = SettledCounts();
                    return counts == at_the_start_;
                  }),
                  Text(counts), "instead of ", Text(at_the_start_));
  }

  std::string text() const {
    return striker_.counts().text() + "; " + std::to_string(committed_) + " transactions of " +
           "histories, " + std::to_string(transfers_) + " transfers, " + std::to_string(counted_) +
           " counts of the bank, " + std::to_string(JournalWrites()) + " writes in journals; " +
           std::to_string(Stat("repairs")) + " deaths, " +
           std::to_string(Stat("repairs_in_place")) + " of them in the middle of something";
  }
  const StrikerCounts& strikes() const { return striker_.counts(); }
  size_t committed() const { return committed_; }
  int64_t InTheMiddle() const { return Stat("repairs_in_place"); }

 private:
  // For empty databases.
  void OpenJournals() {
    journals_.clear();
    for (int i = 0; i < kJournalClients; ++i) {
      journals_.push_back(std::make_unique<TortureClient>(kFirstJournal + i, seed_));
    }
  }

  static void Expect(const std::string& problem) { CHECK_MESSAGE(problem.empty(), problem); }

  // Until it is answered: the connection's backend may have been struck.
  Reply Command(const std::vector<std::string>& words) const {
    Reply reply;
    (void)WaitUntil([&] { return !(reply = server_.CommandWords(words)).closed(); });
    return reply;
  }

  int64_t Stat(const std::string& name) const {
    const Counts stats = PairsOf(Command({"STATS", name}));
    const auto found = stats.find(name);
    return found == stats.end() ? -1 : found->second;
  }

  uint64_t JournalWrites() const {
    uint64_t sum = 0;
    for (const auto& journal : journals_) sum += journal->acknowledged_writes();
    return sum;
  }

  void LetWork(Milliseconds length, const std::vector<std::unique_ptr<HistoryClient>>& histories,
               const std::vector<std::unique_ptr<BankClient>>& banks) {
    std::atomic<bool> stop = false;
    std::vector<std::future<std::string>> work;
    const auto start = [&](RandomClient& client) {
      work.push_back(std::async(std::launch::async, [&] { return client.Work(server_, stop); }));
    };
    for (const auto& client : histories) start(*client);
    for (const auto& client : banks) start(*client);
    for (const auto& journal : journals_) {
      work.push_back(std::async(std::launch::async, [&] { return KeepJournal(*journal, stop); }));
    }
    striker_.StrikeFor(length);
    stop = true;
    for (auto& done : work) Expect(done.get());
  }

  std::string KeepJournal(TortureClient& journal, const std::atomic<bool>& stop) const {
    std::string problem;
    while (!stop && problem.empty()) {
      problem = journal.Work(server_, stop);
      if (problem.empty()) problem = journal.Verify(server_);
    }
    return problem;
  }

  void CheckHistories(History history, const std::vector<std::unique_ptr<HistoryClient>>& clients) {
    Command({"SELECT", "0"});
    history.at_the_end = ReadHistoryKeys(server_);
    for (const auto& client : clients) {
      for (const HistoryTransaction& transaction : client->history()) {
        committed_ += transaction.outcome == HistoryTransaction::kCommitted ? 1 : 0;
        history.transactions.push_back(transaction);
      }
    }
    for (const Anomaly& anomaly : CheckHistory(history)) {
      FAIL_CHECK(AnomalyName(anomaly.kind), ": ", anomaly.text);
    }
  }

  void CheckBank(const std::vector<std::unique_ptr<BankClient>>& clients) {
    for (const auto& client : clients) {
      transfers_ += client->transfers();
      counted_ += client->counts();
      for (const std::string& finding : client->findings()) FAIL_CHECK(finding);
    }
    CheckSum();
  }
  void CheckSum() {
    Command({"SELECT", std::to_string(kBankDatabase)});
    int64_t sum = 0;
    const Reply all = Command({"RANGE", "a", "b", "WITHVALUES"});
    for (size_t i = 1; i < all.elements.size(); i += 2) sum += std::stoll(all.elements[i].text);
    CHECK(sum == kSumOfAccounts);
    Command({"SELECT", "0"});
  }

  // When nobody does anything and vacuum has collected all garbage.
  Counts SettledCounts() {
    CHECK_MESSAGE(WaitUntil([&] {
                    // This one's backend may have been told to end, and have answered once more.
                    (void)Command({"PING"});
                    return std::ssize(ChildrenOf(server_.pid())) == kAuxiliaries + 1;
                  }),
                  Children());
    Counts counts;
    (void)Command({"VACUUM"});
    CHECK_MESSAGE(WaitUntil([&] {
                    counts = PairsOf(Command({"MEMORY", "COUNTS"}));
                    return counts["process_slots"] == kAuxiliaries + 1;
                  }),
                  Children());
    return counts;
  }

  void CheckNothingIsLeft() {
    CHECK(WaitUntil(
        [&] { return Stat("repairs") == Stat("deaths_backend") + Stat("deaths_auxiliary"); }));
    CHECK(Stat("full_restarts") == 0);
    CHECK(Stat("lwlock_timeouts_on_free_lock") == 0);
    Reply locks;
    CHECK_MESSAGE(WaitUntil([&] {
                    locks = Command({"LOCKS"});
                    return locks.elements.empty();
                  }),
                  ToText(locks));
    CheckCounts();
    CheckStore();
    CHECK(DescriptorCount(server_.pid()) == descriptors_);
    CheckFiles();
  }

  // What a checkpointer left under a temporary name goes with the next checkpoint.
  void CheckFiles() {
    CHECK_FALSE(Command({"CHECKPOINT"}).is_error());
    std::string others;
    const auto same = [&] {
      others.clear();
      const std::set<std::string> now = FileNames();
      for (const std::string& name : now) {
        if (!files_.contains(name)) others += name + " ";
      }
      return now == files_;
    };
    CHECK_MESSAGE(WaitUntil(same), "new files: ", others);
  }

  // What is not data is as it was.
  void CheckCounts() {
    Counts now;
    const auto same = [&] {
      now = SettledCounts();
      return std::ranges::all_of(at_the_start_, [&](const auto& then) {
        return then.first.starts_with("data_file_pages") || then.first == "pages_in_use" ||
               now[then.first] == then.second;
      });
    };
    CHECK_MESSAGE(WaitUntil(same), Text(now), "instead of ", Text(at_the_start_));
  }

  // Every page is used once, and the counts of keys are those that a walk finds.
  void CheckStore() {
    Reply checked;
    CHECK_MESSAGE(WaitUntil([&] {
                    checked = Command({"CHECK"});
                    return checked.elements.size() > 5 && checked.elements[5].integer == 1;
                  }),
                  "not complete: ", ToText(checked));
    REQUIRE(checked.elements.size() > 5);
    CHECK_MESSAGE(checked.elements[1].elements.empty(), ToText(checked));
    for (int database = 0; database < kUsedDatabases; ++database) CheckKeyCount(database);
    Command({"SELECT", "0"});
  }

  // Journals have keys that expire: between the two, or not yet taken away and no longer shown.
  void CheckKeyCount(int database) {
    int64_t counted = 0, shown = 0;
    const bool same = WaitUntil([&] {
      Command({"SELECT", std::to_string(database)});
      counted = Command({"DBSIZE"}).integer;
      shown = static_cast<int64_t>(Command({"KEYS", "*"}).elements.size());
      return counted == shown;
    });
    CHECK_MESSAGE(same, "database ", database, ": ", counted, " keys are counted, ", shown,
                  " are there");
  }

  std::string Children() const {
    std::string text;
    for (const pid_t pid : ChildrenOf(server_.pid())) text += CommandLineOf(pid) + "\n";
    return text;
  }

  static size_t DescriptorCount(pid_t pid) {
    return ListDirectory("/proc/" + std::to_string(pid) + "/fd").size();
  }

  // But for the log's files, whose names say where they are in it (one may be under construction),
  // and for the record of the deaths.
  std::set<std::string> FileNames() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(server_.directory())) {
      const bool in_log = entry.path().parent_path().filename() == "wal";
      const std::string name = entry.path().filename().string();
      const bool expected = name.size() == 16 || name == "new.segment";
      if (name == "incidents") continue;
      if (!in_log || !expected) names.insert(entry.path().string());
    }
    return names;
  }

  static constexpr int kAuxiliaries = 6;

  const uint64_t seed_;
  // Commands of the test are sent on a connection of their own, whose backend may be struck, too.
  mutable Server server_{
      {"--fault_points", "yes", "--crash_breaker_deaths", "0", "--shared_buffers", "4mb",
       "--max_wal_size", "64mb", "--checkpoint_timeout", "1s", "--checkpoint_completion_target",
       "50", "--bgwriter_delay", "10ms", "--deadlock_timeout", "20ms", "--databases", "32"}};
  Striker striker_;
  std::vector<std::unique_ptr<TortureClient>> journals_;
  Counts at_the_start_;
  size_t descriptors_ = 0;
  std::set<std::string> files_;
  uint64_t round_ = 0;
  size_t committed_ = 0;
  uint64_t transfers_ = 0, counted_ = 0;
};

}  // namespace

TEST_CASE("after hundreds of deaths of any process nothing is lost, wrong or left behind") {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Soak soak(seed);
  for (int round = 0; round < (FullForm() ? 40 : 1); ++round) {
    CAPTURE(round);
    soak.Round(Milliseconds(FullForm() ? 15'000 : 12'000));
  }
  MESSAGE("seed ", seed, ": ", soak.text());
  CHECK(soak.strikes().kills > 25);
  CHECK(soak.committed() > 100);
  CHECK(soak.InTheMiddle() > 10);
  soak.CheckEmptied();
  soak.Round(Milliseconds(3'000));
  soak.CheckNextStart();
}

}  // namespace warren::test

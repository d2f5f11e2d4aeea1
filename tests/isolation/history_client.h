// Which random transactions does a client of a history make, and what does it note down?
//
// All keys hold lists of elements of four characters. Single commands, GETV with SETV, MULTI (with
// WATCH and reads before it, or without), BEGIN ... COMMIT or ROLLBACK with savepoints.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/isolation/history.h"
#include "tests/isolation/random_client.h"

namespace warren::test {

inline constexpr int kHistoryKeys = 10;
std::string HistoryKey(int i);
// The first transaction of a history: each key gets so many elements. With values between the
// lists, if `spread`, so that they lie on several pages.
HistoryTransaction PrepareHistory(Server& server, size_t elements, bool spread);
// What all keys hold.
std::map<std::string, ElementList> ReadHistoryKeys(Server& server);

class HistoryClient : public RandomClient {
 public:
  HistoryClient(int number, uint64_t seed, unsigned cuts);  // number < 24
  const std::vector<HistoryTransaction>& history() const { return history_; }

 private:
  // A command that a transaction may hold, and what its reply means.
  struct Piece {
    Words words;
    std::vector<HistoryEvent> events;  // as far as known before the reply
  };

  void OneTransaction() override;
  void OnBroken() override;

  void Single();
  void CompareAndSet();
  void Queued();
  void Wide();
  void Execute(const std::vector<HistoryEvent>& watched, std::vector<Piece> pieces);
  void Interactive();
  bool RollBackTo(size_t mark);

  Piece RandomPiece(bool writes, bool interactive);
  Piece Append(const std::string& key);
  std::string RandomKey();

  // Puts what the reply shows into the events. False: it is an error (which aborts).
  bool Note(Piece& piece, const Reply& reply);
  static void NotePairs(Piece& piece, const Reply& reply);
  HistoryTransaction Open(const std::string& about) const;
  void Close(HistoryTransaction::Outcome outcome);

  Element next_element_;
  std::vector<HistoryTransaction> history_;
  // The one under way, and what it becomes if the connection breaks now.
  HistoryTransaction current_;
  HistoryTransaction::Outcome if_broken_ = HistoryTransaction::kAborted;
};

}  // namespace warren::test

#include "tests/isolation/history_client.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace warren::test {
namespace {

constexpr size_t kElementBytes = 4;
constexpr Element kElementsOfClient = 50'000;
constexpr Element kHistoryClients = 24;  // at most
constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string TextOf(Element element) {
  std::string text(kElementBytes, '0');
  for (size_t i = kElementBytes; i-- > 0; element /= 36) text[i] = kDigits[element % 36];
  return text;
}

// A value that is no list becomes elements that nobody ever wrote.
ElementList ListOf(std::string_view value) {
  ElementList list;
  for (size_t at = 0; at < value.size(); at += kElementBytes) {
    Element element = 0;
    for (const char c : value.substr(at, kElementBytes)) {
      const size_t digit = kDigits.find(c);
      element = element * 36 + static_cast<Element>(digit == kDigits.npos ? 1'000'003 : digit);
    }
    list.push_back(element);
  }
  return list;
}

HistoryEvent Seen(const std::string& key, const Reply& value) {
  return {.kind = HistoryEvent::kRead, .key = key, .list = ListOf(value.text)};
}

}  // namespace

std::string HistoryKey(int i) { return "k" + std::to_string(i); }

HistoryTransaction PrepareHistory(Server& server, size_t elements, bool spread) {
  HistoryTransaction transaction{.client = -1, .begin_ns = NowNs(), .about = "the beginning"};
  server.Command("FLUSHDB");
  Element next = kHistoryClients * kElementsOfClient + 1;
  for (int i = 0; i < kHistoryKeys; ++i) {
    const std::string key = HistoryKey(i);
    std::string list;
    for (size_t n = 0; n < elements; ++n) {
      transaction.events.push_back({.kind = HistoryEvent::kAppend, .key = key, .element = next});
      list += TextOf(next++);
    }
    if (!list.empty()) server.Command("SET", key, list);
    for (int n = 0; spread && n < 5; ++n) {
      server.Command("SET", key + "~" + std::to_string(n), std::string(1800, '.'));
    }
  }
  transaction.end_ns = NowNs();
  return transaction;
}

std::map<std::string, ElementList> ReadHistoryKeys(Server& server) {
  std::map<std::string, ElementList> all;
  for (int i = 0; i < kHistoryKeys; ++i) {
    all[HistoryKey(i)] = ListOf(server.Command("GET", HistoryKey(i)).text);
  }
  return all;
}

HistoryClient::HistoryClient(int number, uint64_t seed, unsigned cuts)
    : RandomClient(number, seed, cuts),
      next_element_(static_cast<Element>(number) * kElementsOfClient + 1) {}

void HistoryClient::OnBroken() { Close(if_broken_); }

void HistoryClient::OneTransaction() {
  const uint64_t kind = Random(20);
  if (kind < 6) {
    Single();
  } else if (kind < 8) {
    CompareAndSet();
  } else if (kind < 12) {
    Queued();
  } else if (kind == 12) {
    Wide();
  } else {
    Interactive();
  }
}

// -- The kinds of transactions

void HistoryClient::Single() {
  Piece piece = RandomPiece(OneOf(3), /*interactive=*/false);
  current_ = Open(piece.words.front());
  current_.events = piece.events;
  if_broken_ = HistoryTransaction::kUnknown;
  const Reply reply = Ask(piece.words);
  if (reply.is_error("DEADLOCK")) Unexpected(piece.words, reply);
  current_.events.clear();
  Close(Note(piece, reply) ? HistoryTransaction::kCommitted : HistoryTransaction::kAborted);
}

// The read counts as made when SETV found the key as it was.
void HistoryClient::CompareAndSet() {
  const std::string key = RandomKey();
  const Reply read = Ask({"GETV", key});
  if (read.is_error()) {
    if (!IsLockError(read)) Unexpected({"GETV", key}, read);
    return;
  }
  Reply old;
  std::string version = "0";
  if (read.elements.size() == 2) {
    old = read.elements[0];
    version = std::to_string(read.elements[1].integer);
  }
  Piece append = Append(key);
  current_ = Open("SETV");
  current_.events = {Seen(key, old), append.events[0]};
  if_broken_ = HistoryTransaction::kUnknown;
  const Words words{"SETV", key, version, old.text + append.words[2]};
  const Reply reply = Ask(words);
  if (reply.type != Reply::kInteger && !IsTimeout(reply)) Unexpected(words, reply);
  IsLockError(reply);
  const bool done = reply.type == Reply::kInteger && reply.integer == 1;
  Close(done ? HistoryTransaction::kCommitted : HistoryTransaction::kAborted);
}

void HistoryClient::Queued() {
  std::vector<HistoryEvent> watched;
  for (uint64_t n = Random(3); n > 0; --n) {
    const std::string key = RandomKey();
    Ask({"WATCH", key});
    const Reply value = Ask({"GET", key});
    if (value.is_error()) {
      if (!IsLockError(value)) Unexpected({"GET", key}, value);
      Ask({"UNWATCH"});
      return;
    }
    watched.push_back(Seen(key, value));
  }
  Ask({"MULTI"});
  std::vector<Piece> pieces;
  for (uint64_t n = 1 + Random(4); n > 0; --n) {
    pieces.push_back(RandomPiece(OneOf(2), /*interactive=*/false));
    const Reply reply = Ask(pieces.back().words);
    if (reply.text != "QUEUED") return Unexpected(pieces.back().words, reply);
  }
  Execute(watched, std::move(pieces));
}

// EXEC. What was watched stayed as it was until then, if that does anything.
void HistoryClient::Execute(const std::vector<HistoryEvent>& watched, std::vector<Piece> pieces) {
  current_ = Open(watched.empty() ? "EXEC" : "WATCH, EXEC");
  current_.events = watched;
  for (const Piece& piece : pieces) {
    current_.events.insert(current_.events.end(), piece.events.begin(), piece.events.end());
  }
  if_broken_ = HistoryTransaction::kUnknown;
  const Reply reply = Ask({"EXEC"});
  if (reply.type != Reply::kArray || reply.elements.size() != pieces.size()) {
    IsLockError(reply);
    if (!reply.nil() && !IsTimeout(reply)) Unexpected({"EXEC"}, reply);
    return Close(HistoryTransaction::kAborted);
  }
  current_.events = watched;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!Note(pieces[i], reply.elements[i])) Unexpected(pieces[i].words, reply.elements[i]);
  }
  Close(HistoryTransaction::kCommitted);
}

// Appends to all keys at once, so that making the changes takes its time.
void HistoryClient::Wide() {
  Ask({"MULTI"});
  std::vector<Piece> pieces;
  for (int i = 0; i < kHistoryKeys; ++i) {
    pieces.push_back(Append(HistoryKey(i)));
    Ask(pieces.back().words);
  }
  Execute({}, std::move(pieces));
}

void HistoryClient::Interactive() {
  const bool read_only = OneOf(6), read_committed = OneOf(6);
  current_ = Open(read_committed ? "BEGIN, read committed" : "BEGIN");
  current_.read_committed = read_committed;
  Words begin{"BEGIN"};
  if (read_only) begin.insert(begin.end(), {"READ", "ONLY"});
  if (read_committed) begin.insert(begin.end(), {"ISOLATION", "READ", "COMMITTED"});
  if (const Reply reply = Ask(begin); !reply.ok()) return Unexpected(begin, reply);
  std::optional<size_t> mark;
  for (uint64_t n = 1 + Random(5); n > 0; --n) {
    if (OneOf(8) && Ask({"SAVEPOINT", "s"}).ok()) mark = current_.events.size();
    Piece piece = RandomPiece(!read_only && OneOf(2), !read_only);
    const std::vector<HistoryEvent> attempted = piece.events;
    if (!Note(piece, Ask(piece.words))) {
      current_.events.insert(current_.events.end(), attempted.begin(), attempted.end());
      Close(HistoryTransaction::kAborted);
      if (const Reply reply = Ask({"ROLLBACK"}); !reply.ok()) Unexpected({"ROLLBACK"}, reply);
      return;
    }
    if (mark && OneOf(3) && !RollBackTo(*mark)) return;
  }
  const bool rolls_back = OneOf(6);
  if (!rolls_back) if_broken_ = HistoryTransaction::kUnknown;
  const Words end{rolls_back ? "ROLLBACK" : "COMMIT"};
  const Reply reply = Ask(end);
  if (!reply.ok()) Unexpected(end, reply);
  Close(rolls_back ? HistoryTransaction::kAborted : HistoryTransaction::kCommitted);
}

// What was appended since is an aborted transaction of its own. (What was read since holds on; it
// isn't worth the trouble to take one's own appends out of it.)
bool HistoryClient::RollBackTo(size_t mark) {
  const Words words{"ROLLBACK", "TO", "s"};
  if (const Reply reply = Ask(words); !reply.ok()) {
    Unexpected(words, reply);
    return false;
  }
  HistoryTransaction undone = Open("ROLLBACK TO");
  const auto first = current_.events.begin() + static_cast<std::ptrdiff_t>(mark);
  for (auto event = first; event != current_.events.end(); ++event) {
    if (event->kind == HistoryEvent::kAppend) undone.events.push_back(*event);
  }
  current_.events.erase(first, current_.events.end());
  undone.end_ns = NowNs();
  undone.outcome = HistoryTransaction::kAborted;
  history_.push_back(std::move(undone));
  return true;
}

// -- Commands

HistoryClient::Piece HistoryClient::Append(const std::string& key) {
  const Element element = next_element_++;
  return {{"APPEND", key, TextOf(element)},
          {{.kind = HistoryEvent::kAppend, .key = key, .element = element}}};
}

std::string HistoryClient::RandomKey() {
  return HistoryKey(static_cast<int>(Random(kHistoryKeys)));
}

HistoryClient::Piece HistoryClient::RandomPiece(bool writes, bool interactive) {
  const std::string key = RandomKey();
  if (writes) return Append(key);
  switch (Random(12)) {
    case 0:
      return {{"STRLEN", key}, {}};
    case 1:
      return {{"KEYS", "k?"}, {}};
    case 2:
    case 3:
      return {{"RANGE", std::min(key, std::string("k5")), "k9", "WITHVALUES"}, {}};
    case 4:
    case 5:
      return {{"MGET", key, RandomKey(), RandomKey(), RandomKey()}, {}};
    case 6:
      return {{"EXISTS", key}, {}};
    case 7:
    case 8:
      if (interactive) return {{"GETLOCK", key}, {}};
      [[fallthrough]];
    default:
      return {{"GET", key}, {}};
  }
}

bool HistoryClient::Note(Piece& piece, const Reply& reply) {
  const std::string& name = piece.words[0];
  const std::string& key = piece.words[1];
  if (reply.is_error() || reply.type == Reply::kStatus) {
    if (!IsLockError(reply)) Unexpected(piece.words, reply);
    return false;
  }
  const size_t count = static_cast<size_t>(reply.integer);
  std::vector<HistoryEvent>& events = piece.events;
  if (name == "APPEND") {
    events[0].length = count / kElementBytes;
  } else if (name == "STRLEN") {
    events.push_back({.kind = HistoryEvent::kLength, .key = key, .length = count / kElementBytes});
  } else if (name == "EXISTS") {
    events.push_back(
        {.kind = count == 0 ? HistoryEvent::kLength : HistoryEvent::kPresent, .key = key});
  } else if (name == "MGET") {
    for (size_t i = 0; i < reply.elements.size(); ++i) {
      events.push_back(Seen(piece.words[i + 1], reply.elements[i]));
    }
  } else if (name == "KEYS" || name == "RANGE") {
    NotePairs(piece, reply);
  } else {
    events.push_back(Seen(key, reply));
  }
  current_.events.insert(current_.events.end(), events.begin(), events.end());
  return true;
}

// KEYS, and RANGE with values: what is not there is an empty list.
void HistoryClient::NotePairs(Piece& piece, const Reply& reply) {
  const bool has_values = piece.words[0] == "RANGE";
  for (int i = 0; i < kHistoryKeys; ++i) {
    const std::string key = HistoryKey(i);
    if (has_values && key < piece.words[1]) continue;
    HistoryEvent event{.kind = HistoryEvent::kLength, .key = key};
    for (size_t at = 0; at < reply.elements.size(); at += has_values ? 2 : 1) {
      if (reply.elements[at].text != key) continue;
      event = has_values ? Seen(key, reply.elements[at + 1])
                         : HistoryEvent{.kind = HistoryEvent::kPresent, .key = key};
    }
    piece.events.push_back(std::move(event));
  }
}

HistoryTransaction HistoryClient::Open(const std::string& about) const {
  HistoryTransaction transaction;
  transaction.client = number();
  transaction.begin_ns = NowNs();
  transaction.about = about;
  return transaction;
}

void HistoryClient::Close(HistoryTransaction::Outcome outcome) {
  current_.end_ns = NowNs();
  current_.outcome = outcome;
  if (!current_.events.empty()) history_.push_back(std::move(current_));
  current_ = {};
  if_broken_ = HistoryTransaction::kAborted;
}

}  // namespace warren::test

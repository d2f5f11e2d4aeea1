// What a transaction takes back before its end: statements and savepoints.
//
// Each is a level: a place in undo_. The first change of a key within a level writes down what
// stood there before; going back to a level puts that back, newest first. When a level ends without
// being undone, what it has written down is kept for the level around it, unless that knows the key
// already; without a level around it nothing needs to be known.
#include <algorithm>

#include "backend/transaction.h"

namespace warren {
namespace {

constexpr uint64_t kLevelBytes = 64;

Error NoSuchSavepoint(std::string_view name) {
  return MakeError(ErrorCode::kGeneric, "no such savepoint '{}'", name.substr(0, 64));
}

}  // namespace

uint64_t Transaction::BytesOf(const Level& level) { return kLevelBytes + level.name.size(); }

// -- Writing down what is there.

void Transaction::Save(Changes::iterator at) {
  Pending& pending = at->second;
  if (levels_.empty() || pending.saved_in == CurrentLevel()) return;
  const uint64_t bytes = BytesOf(at->first, pending);
  undo_.push_back({.key = at->first, .former = pending, .bytes = bytes});
  bytes_ += bytes;
  pending.saved_in = CurrentLevel();
}

void Transaction::SaveAbsence(const Key& key) {
  if (levels_.empty()) return;
  const uint64_t bytes = BytesOf(key, {});
  undo_.push_back({.key = key, .bytes = bytes});
  bytes_ += bytes;
}

// Also takes the changes of the database out of pending_.
void Transaction::SaveDatabase(uint32_t database) {
  auto former = std::make_unique<Changes>();
  uint64_t bytes = 0;
  const auto [begin, end] = ChangesOf(database);
  for (auto at = begin; at != end;) {
    bytes += BytesOf(at->first, at->second);
    former->insert(former->end(), pending_.extract(at++));
  }
  if (levels_.empty()) {
    bytes_ -= bytes;
    return;
  }
  undo_.push_back({.key = {database, {}},
                   .former_database = std::move(former),
                   .was_emptied = Emptied(database),
                   .bytes = bytes});
}

// -- Going back.

void Transaction::PutBack(Undo& undo) {
  bytes_ -= undo.bytes;
  if (undo.former_database) {
    const auto [begin, end] = ChangesOf(undo.key.first);
    for (auto at = begin; at != end; ++at) bytes_ -= BytesOf(at->first, at->second);
    pending_.erase(begin, end);
    pending_.merge(*undo.former_database);
    bytes_ += undo.bytes;
    if (!undo.was_emptied) emptied_.erase(undo.key.first);
    return;
  }
  if (const auto at = pending_.find(undo.key); at != pending_.end()) {
    bytes_ -= BytesOf(at->first, at->second);
    if (undo.former) {
      at->second = std::move(*undo.former);
      bytes_ += BytesOf(at->first, at->second);
    } else {
      pending_.erase(at);
    }
  } else if (undo.former) {
    bytes_ += BytesOf(undo.key, *undo.former);
    pending_.emplace(std::move(undo.key), std::move(*undo.former));
  }
}

void Transaction::UndoTo(size_t undo_count) {
  while (undo_.size() > undo_count) {
    PutBack(undo_.back());
    undo_.pop_back();
  }
}

void Transaction::MergeInnermostLevel() {
  const size_t first = levels_.back().undo_count;
  bytes_ -= BytesOf(levels_.back());
  levels_.pop_back();
  size_t kept = first;
  for (size_t i = first; i < undo_.size(); ++i) {
    Undo& undo = undo_[i];
    const auto at = undo.former_database ? pending_.end() : pending_.find(undo.key);
    if (at != pending_.end()) at->second.saved_in = CurrentLevel();
    const bool known = levels_.empty() || (undo.former && undo.former->saved_in == CurrentLevel());
    if (known) {
      bytes_ -= undo.bytes;
      continue;
    }
    if (kept != i) undo_[kept] = std::move(undo);
    ++kept;
  }
  undo_.erase(undo_.begin() + static_cast<std::ptrdiff_t>(kept), undo_.end());
}

// -- Statements.

void Transaction::BeginStatement() {
  levels_.push_back({.id = next_level_id_++, .undo_count = undo_.size(), .statement = true});
  bytes_ += BytesOf(levels_.back());
}

void Transaction::EndStatement() {
  if (!levels_.empty() && levels_.back().statement) MergeInnermostLevel();
}

void Transaction::UndoStatement() {
  if (levels_.empty() || !levels_.back().statement) return;
  UndoTo(levels_.back().undo_count);
  bytes_ -= BytesOf(levels_.back());
  levels_.pop_back();
}

// -- Savepoints.

Status Transaction::SetSavepoint(std::string_view name) {
  if (aborted_) return AbortedError();
  Level level{.name = std::string(name), .id = next_level_id_, .undo_count = undo_.size()};
  RETURN_IF_ERROR(MakeRoom(BytesOf(level)));
  bytes_ += BytesOf(level);
  levels_.push_back(std::move(level));
  ++next_level_id_;
  return {};
}

std::optional<size_t> Transaction::FindSavepoint(std::string_view name) const {
  for (size_t i = levels_.size(); i-- > 0;) {
    if (!levels_[i].statement && levels_[i].name == name) return i;
  }
  return std::nullopt;
}

Status Transaction::RollbackTo(std::string_view name) {
  if (locks_released_) return AbortedError();
  const auto found = FindSavepoint(name);
  if (!found) return NoSuchSavepoint(name);
  UndoTo(levels_[*found].undo_count);
  while (levels_.size() > *found + 1) {
    bytes_ -= BytesOf(levels_.back());
    levels_.pop_back();
  }
  aborted_.reset();
  return {};
}

Status Transaction::ReleaseSavepoint(std::string_view name) {
  if (aborted_) return AbortedError();
  const auto found = FindSavepoint(name);
  if (!found) return NoSuchSavepoint(name);
  while (levels_.size() > *found) MergeInnermostLevel();
  return {};
}

}  // namespace warren

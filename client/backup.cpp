#include "client/backup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <map>
#include <utility>

#include "base/clock.h"
#include "base/running_checksum.h"
#include "base/version.h"
#include "client/backup_manifest.h"
#include "client/interrupt.h"

namespace warren {
namespace {

constexpr uint64_t kPagesAtOnce = 128;

// The pairs of an array of names and values.
class NamedValues {
 public:
  explicit NamedValues(const RespReply& reply) {
    for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
      values_[reply.elements[i].text] = &reply.elements[i + 1];
    }
  }

  Result<uint64_t> Number(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || found->second->type != RespReply::Type::kInteger) {
      return Missing(name);
    }
    return static_cast<uint64_t>(found->second->integer);
  }

  Result<uint64_t> Hex(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return Missing(name);
    const std::string& text = found->second->text;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) return Missing(name);
    return value;
  }

 private:
  static Error Missing(const std::string& name) {
    return MakeError(ErrorCode::kIo, "the server's answer does not say {}: another version?", name);
  }
  std::map<std::string, const RespReply*> values_;
};

class Copier {
 public:
  Copier(RespClient& server, BackupOutput& output, Progress& progress)
      : server_(server), output_(output), progress_(progress) {}

  Result<BackupSummary> Run() {
    RETURN_IF_ERROR(Begin());
    RETURN_IF_ERROR(CopyPages());
    RETURN_IF_ERROR(Stop());
    RETURN_IF_ERROR(CopyLog());
    RETURN_IF_ERROR(WriteManifest());
    RETURN_IF_ERROR(output_.Finish());
    (void)server_.Call({"BACKUP", "END"});  // everything is here; the connection's end does it, too
    summary_.damaged_pages = manifest_.damaged_pages.size();
    return summary_;
  }

 private:
  Status Begin() {
    progress_.Begin("waiting for a checkpoint", 0);
    ASSIGN_OR_RETURN(const RespReply reply, server_.Call({"BACKUP", "BEGIN"}));
    const NamedValues values(reply);
    manifest_.program_version = kVersion;
    ASSIGN_OR_RETURN(manifest_.start_lsn, values.Number("start_lsn"));
    ASSIGN_OR_RETURN(manifest_.log_begin_lsn, values.Number("log_begin_lsn"));
    ASSIGN_OR_RETURN(page_count_, values.Number("pages"));
    ASSIGN_OR_RETURN(manifest_.page_bytes, values.Number("page_bytes"));
    ASSIGN_OR_RETURN(manifest_.segment_bytes, values.Number("segment_bytes"));
    ASSIGN_OR_RETURN(const uint64_t format_version, values.Number("format_version"));
    manifest_.format_version = static_cast<uint32_t>(format_version);
    ASSIGN_OR_RETURN(manifest_.start_count, values.Number("start_count"));
    ASSIGN_OR_RETURN(const uint64_t databases, values.Number("databases"));
    manifest_.databases = static_cast<uint32_t>(databases);
    ASSIGN_OR_RETURN(const uint64_t time_us, values.Number("time_us"));
    manifest_.start_us = static_cast<int64_t>(time_us);
    ASSIGN_OR_RETURN(manifest_.system_id, values.Hex("system_id"));
    if (manifest_.page_bytes == 0 || manifest_.segment_bytes == 0) {
      return MakeError(ErrorCode::kIo, "the server's pages or log files have no size");
    }
    return {};
  }

  Status CopyPages() {
    const uint64_t total = page_count_ * manifest_.page_bytes;
    progress_.Begin("copying pages", total);
    RETURN_IF_ERROR(BeginFile(std::string(kDataFileName), total));
    for (uint64_t first = 0; first < page_count_; first += kPagesAtOnce) {
      const uint64_t count = std::min(kPagesAtOnce, page_count_ - first);
      ASSIGN_OR_RETURN(RespReply reply, server_.Call({"BACKUP", "PAGES", std::to_string(first),
                                                      std::to_string(count)}));
      const uint64_t expected = count * manifest_.page_bytes;
      if (reply.elements.size() != 2 || reply.elements[0].text.size() > expected) {
        return MakeError(ErrorCode::kIo, "the server's answer is not pages");
      }
      std::string& bytes = reply.elements[0].text;
      // What the file has lost since the start: the log says so, too.
      bytes.resize(expected, '\0');
      RETURN_IF_ERROR(Write(bytes));
      for (const RespReply& damaged : reply.elements[1].elements) NoteDamaged(damaged.integer);
    }
    summary_.data_bytes = total;
    return EndFile();
  }

  void NoteDamaged(int64_t page_no) {
    progress_.Say(
        fmt::format("warning: page {}: its checksum does not fit, it is copied as it is", page_no));
    manifest_.damaged_pages.push_back(static_cast<PageNo>(page_no));
  }

  Status Stop() {
    ASSIGN_OR_RETURN(const RespReply reply, server_.Call({"BACKUP", "STOP"}));
    const NamedValues values(reply);
    ASSIGN_OR_RETURN(manifest_.stop_lsn, values.Number("stop_lsn"));
    ASSIGN_OR_RETURN(const uint64_t time_us, values.Number("time_us"));
    manifest_.stop_us = static_cast<int64_t>(time_us);
    return {};
  }

  Status CopyLog() {
    const uint64_t size = manifest_.segment_bytes;
    Lsn begin = manifest_.log_begin_lsn / size * size;
    summary_.log_bytes = manifest_.stop_lsn - begin;
    progress_.Begin("copying the log", summary_.log_bytes);
    for (; begin < manifest_.stop_lsn; begin += size) {
      RETURN_IF_ERROR(CopyLogFile(begin, std::min(begin + size, manifest_.stop_lsn)));
    }
    return {};
  }

  Status CopyLogFile(Lsn begin, Lsn end) {
    RETURN_IF_ERROR(BeginFile(BackupLogPath(begin / manifest_.segment_bytes), end - begin));
    for (Lsn at = begin; at < end;) {
      ASSIGN_OR_RETURN(const RespReply reply, server_.Call({"BACKUP", "LOG", std::to_string(at)}));
      if (reply.text.empty() || reply.text.size() > end - at) {
        return MakeError(ErrorCode::kIo, "the server's answer is not the log at {:#x}", at);
      }
      RETURN_IF_ERROR(Write(reply.text));
      at += reply.text.size();
    }
    return EndFile();
  }

  Status WriteManifest() {
    const std::string json = ToJson(manifest_);
    RETURN_IF_ERROR(output_.BeginFile(std::string(kManifestName), json.size()));
    RETURN_IF_ERROR(output_.Write(std::as_bytes(std::span(json))));
    return output_.EndFile();
  }

  Status BeginFile(const std::string& path, uint64_t bytes) {
    checksum_ = RunningChecksum();
    manifest_.files.push_back({.path = path, .bytes = bytes, .checksum = 0});
    return output_.BeginFile(path, bytes);
  }

  Status Write(std::string_view bytes) {
    checksum_.Add(std::as_bytes(std::span(bytes)));
    progress_.Advance(bytes.size());
    return output_.Write(std::as_bytes(std::span(bytes)));
  }

  Status EndFile() {
    manifest_.files.back().checksum = checksum_.Value();
    return output_.EndFile();
  }

  RespClient& server_;
  BackupOutput& output_;
  Progress& progress_;
  BackupManifest manifest_;
  BackupSummary summary_;
  RunningChecksum checksum_;
  uint64_t page_count_ = 0;
};

Result<BackupSummary> Backup(const BackupOptions& options, Progress& progress) {
  const bool to_stdout = options.destination == "-";
  if (to_stdout && isatty(STDOUT_FILENO) == 1) {
    return MakeError(ErrorCode::kGeneric, "a tar stream is not written to a terminal");
  }
  ASSIGN_OR_RETURN(RespClient server, RespClient::Connect(options.server));
  if (to_stdout) {
    const auto output = OpenTarOutput(STDOUT_FILENO, "standard output");
    return CopyServer(server, *output, progress);
  }
  ASSIGN_OR_RETURN(const auto output, OpenDirectoryOutput(options.destination));
  Result<BackupSummary> summary = CopyServer(server, *output, progress);
  if (!summary.ok()) output->Abandon();
  return summary;
}

}  // namespace

Result<BackupSummary> CopyServer(RespClient& server, BackupOutput& output, Progress& progress) {
  return Copier(server, output, progress).Run();
}

int RunBackup(const BackupOptions& options) {
  // Whoever reads the tar stream may go away, and files may be limited: errors like others.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  CatchInterrupts();
  const int64_t began_ns = MonotonicNs();
  Progress progress;
  const Result<BackupSummary> summary = Backup(options, progress);
  if (!summary.ok()) {
    progress.Say(fmt::format("warren: backup failed: {}", summary.error().message));
    return 1;
  }
  progress.Say(fmt::format("backup complete: {} MB of pages and {} MB of log in {} ms",
                           summary->data_bytes >> 20, summary->log_bytes >> 20,
                           (MonotonicNs() - began_ns) / 1'000'000));
  if (summary->damaged_pages > 0) {
    progress.Say(fmt::format("warning: {} pages were damaged, see damaged_pages in {}",
                             summary->damaged_pages, kManifestName));
  }
  return 0;
}

}  // namespace warren

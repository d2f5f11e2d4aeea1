// How do pages get to and from the file base/main?
//
// Reads and writes are whole pages at page_no * kPageBytes by pread and pwrite, so that the one
// descriptor can be inherited by every process. The file grows in chunks of allocated (not sparse)
// space, so that a full disk shows before any page is changed and never at a write-out.
//
// Locking: GrowBeyond takes Segment::DataFileLock(); MoveEndTo and CutToEnd are called with it
// held, or by one who is alone; the others none.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "base/unique_fd.h"
#include "shmem/page_io.h"

namespace warren {

class DataFile : public PageIo {
 public:
  static constexpr size_t kMaxSyncTries = 4;

  // Of the calling process and every one forked later.
  static DataFile& Get();

  // `create`: makes an empty file, which must not exist yet.
  Status Open(const std::string& path, const std::string& directory, bool create);
  // For looking only: what makes the file longer changes page_count() and nothing on disk; writing
  // fails. See page_overlay.h.
  Status OpenReadOnly(const std::string& path, const std::string& directory);
  void Close();

  // A page beyond the end is all zeros (README.md, "The file's end").
  Status ReadPage(PageNo page_no, PageBytes page) override;
  Status WritePage(PageNo page_no, ConstPageBytes page) override;
  // One process at a time. After a failure, and when several were killed in here one after the
  // other, nobody knows what is durable.
  Status Sync() override;

  // Fills `bytes`, whole pages, with pages from `first` on as they lie in the file: unchecked, and
  // perhaps torn if somebody is writing them. How many there were; fewer at the file's end, also if
  // it is being cut.
  Result<PageNo> ReadUnchecked(PageNo first, std::span<std::byte> bytes);

  // Where the file ends. Changed under Segment::DataFileLock(), or by one who is alone.
  PageNo page_count() const { return page_count_->load(); }
  // From now on what changes is kept in the segment (WalState), for all processes that inherit
  // this.
  void ShareState();

  // Makes the file longer than `known_count` pages, unless another process has done so meanwhile.
  // Takes a chunk that grows with the file; less, down to one page, when there is no room for it
  // beside what is kept for commits; whoever makes a commit's changes takes that then. kNoSpace
  // names the directory.
  Status GrowBeyond(PageNo known_count);
  // Keeps room for so many pages behind the file's end, for the commit whose reserve this process
  // draws on (commit_reserve.h), instead of what was kept for it. kNoSpace, kIo: none is kept.
  Status Reserve(PageNo pages);
  // How many pages it would take at that length.
  static PageNo ChunkAt(PageNo page_count);
  // Without any lock, for a file that no other process uses: exactly to `page_count` pages.
  Status GrowTo(PageNo page_count);

  // Moves the end back: nobody allocates beyond it any more. The file follows with CutToEnd,
  // durably.
  void MoveEndTo(PageNo page_count) { page_count_->store(page_count); }
  Status CutToEnd();

 private:
  Status OpenAs(const std::string& path, const std::string& directory, int flags,
                std::string_view failure);
  Status OpenForSync(const std::string& path);
  void KeepStateHere();
  Status Allocate(PageNo first, PageNo count);
  Status AllocateTo(uint64_t page_count);
  bool DrawOnReserve();
  Result<PageNo> PagesInFile() const;

  UniqueFd fd_;
  // The same file, for Sync alone, opened before anything is written to it. The kernel reports a
  // lost write to each open description once, and whoever is killed inside a sync takes the report
  // along: the next one asks through the next of these.
  std::array<UniqueFd, kMaxSyncTries> sync_fds_;
  bool read_only_ = false;
  std::string directory_;
  std::atomic<PageNo> own_page_count_ = 0;
  std::atomic<PageNo>* page_count_ = &own_page_count_;
  // The file has room on disk for so many pages: those behind its end are kept for commits.
  std::atomic<PageNo> own_allocated_ = 0;
  std::atomic<PageNo>* allocated_ = &own_allocated_;
  std::atomic<uint32_t> own_syncs_cut_off_ = 0;
  std::atomic<uint32_t>* syncs_cut_off_ = &own_syncs_cut_off_;
};

// Are these bytes what WritePage wrote as `page_no`, or all zero? kCorrupt says what differs. Sets
// the checksum in the page to zero.
Status VerifyPage(PageNo page_no, PageBytes page);

// `data file "base/main" page 7`: how every message about a page begins.
std::string DescribePage(PageNo page_no);

}  // namespace warren

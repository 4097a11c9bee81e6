// Deleted chunks, kept on their disk for a while. That a chunk is garbage is a metaserver's word, and the
// metaserver may have been started with an older copy of its data: it knows nothing of what was made since.
// So what it has deleted is there again when the right one asks for it. One for each disk. Thread-safe; waits
// for the disk.
//
//   <dir>/garbage/<when>/<xx>/<volume>.<chunk>.data,.meta   when: seconds since the epoch, ten digits; xx: as
//   of chunks <dir>/aside/<volume>.<chunk>.data          data files that were found without a header: nobody
//   deletes them
//
// A folder takes what is deleted in a 24th part of the time that garbage is kept. What has been kept for so
// long is named to the metaservers once more, and goes when one still calls it garbage. When the disk needs
// the room, the oldest goes without being asked for. Nothing here grows with the number of chunks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chunkserver/format.h"
#include "common/clock.h"
#include "common/file_ops.h"
#include "common/status.h"

namespace kfs {

class GarbageBin {
 public:
  // `root`: of the disk.
  GarbageBin(std::string root, FileOps* ops) : root_(std::move(root)), ops_(ops) {}

  // Finds what an earlier process left, and notes that it was first seen `now`. Counting it is left to Count:
  // there may be much.
  void Start(MonoTime now);
  // Looks at every file that Start has found. Once; by a background thread.
  void Count();

  // Takes the chunk's files: header first, as when a chunk is deleted. Of two files one may be missing.
  // `keep` decides which folder is the present one. With `keep` 0 they are deleted.
  Status Put(ChunkKey key, const std::string& meta, const std::string& data, Duration keep,
             const Clock& clock);
  bool Has(ChunkKey key);
  // Puts a chunk back under these names, the one deleted last. False: it is not here.
  bool TakeBack(ChunkKey key, const std::string& meta, const std::string& data);
  // A data file that has lost its header: to the header, if that is here (a crash came between the two).
  bool Rejoin(ChunkKey key, const std::string& data);
  // Otherwise it is set aside for a person to look at.
  Status SetAside(ChunkKey key, const std::string& data, std::string* kept_as);

  // The first folder from `from` on whose chunks have been here for `keep`. By the wall clock, since it
  // outlives a restart; a folder that a wrong clock makes look old stays for an hour after this process has
  // first seen it.
  std::optional<uint64_t> Due(uint64_t from, Duration keep, const Clock& clock);
  // What is in one of its 256 parts. After the last part, an empty folder is removed.
  std::vector<ChunkKey> List(uint64_t when, uint32_t part);
  void Drop(uint64_t when, ChunkKey key);
  void RemoveIfEmpty(uint64_t when);
  // Deletes some of the oldest; the bytes that this has freed. 0: there is nothing.
  uint64_t DropOldest();

  bool empty() const { return chunks_ == 0 && !uncounted_; }
  uint64_t chunks() const { return static_cast<uint64_t>(std::max<int64_t>(chunks_, 0)); }
  uint64_t bytes() const { return static_cast<uint64_t>(std::max<int64_t>(bytes_, 0)); }
  uint64_t set_aside() const { return aside_; }

  static constexpr size_t kDropBatch = 64;  // chunks in one step
  static constexpr auto kSeenFor = std::chrono::hours(1);

 private:
  struct Folder {
    MonoTime seen{};  // first, by this process
    bool counted = true;
  };
  std::string FolderPath(uint64_t when) const;
  std::string File(uint64_t when, ChunkKey key, std::string_view suffix) const;
  // REQUIRES for all below: mutex_ held.
  Result<uint64_t> PresentFolder(ChunkKey key, Duration keep, const Clock& clock);
  void DropOne(uint64_t when, ChunkKey key);
  uint64_t DropSome(uint64_t when, size_t max, bool* all);
  void RemoveFolder(uint64_t when);
  void Uncount(uint64_t when, int64_t chunks, uint64_t bytes);
  bool Gone(const std::string& path, uint64_t* bytes);

  const std::string root_;
  FileOps* const ops_;
  std::mutex mutex_;  // of the folders, and of moving files
  std::map<uint64_t, Folder> folders_;
  std::atomic<int64_t> chunks_{0}, bytes_{0};
  std::atomic<uint64_t> aside_{0};
  std::atomic<bool> uncounted_{false};
};

}  // namespace kfs

// The directories of a simulated disk: which names they show, and which a loss of power would leave. A name
// is durable once its directory was synced, or, if the disk is asked to be as kind as Linux's file systems
// are, once its file was. Guarded by its disk's mutex.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/disk/lot.h"

namespace kfs::sim {

using FileId = uint64_t;  // of a file or a directory; 0: none

class SimNames {
 public:
  using Names = std::map<std::string, FileId>;

  void AddDirectory(FileId dir) { dirs_.try_emplace(dir); }
  bool IsDirectory(FileId id) const { return dirs_.contains(id); }
  // REQUIRES: it is a directory.
  const Names& List(FileId dir) const { return dirs_.at(dir).now; }
  FileId Find(FileId dir, const std::string& name) const;

  void Add(FileId dir, const std::string& name, FileId id);
  void Remove(FileId dir, const std::string& name);
  // Takes the place of what has the new name. After a loss of power it has happened whole, or not at all.
  void Move(FileId from_dir, const std::string& from, FileId to_dir, const std::string& to);

  void Sync(FileId dir);
  void SyncAll();
  // The names of a file that are new, and what was changed in their directories before.
  void SyncNamesOf(FileId id);
  // Of what was not synced, each change is there or not, whatever came of those before it.
  void PowerLoss(Lot& lot);
  // Forgets directories that nothing leads to. REQUIRES: nothing is unsynced.
  void Forget(const std::function<bool(FileId)>& reachable);
  // Whether a loss of power may bring it back, or leave it.
  bool MayStay(FileId id) const;

 private:
  struct Dir {
    Names now, kept;
  };
  // Added (no old name), removed (no new one), or moved.
  struct Change {
    FileId id = 0;
    FileId from_dir = 0;
    std::string from;
    FileId to_dir = 0;
    std::string to;
  };
  void Apply(const Change& change, Names Dir::*which);
  void Note(Change change);
  void SyncFirst(size_t count, std::set<FileId> dirs);

  std::map<FileId, Dir> dirs_;
  std::vector<Change> unsynced_;  // in their order
};

}  // namespace kfs::sim

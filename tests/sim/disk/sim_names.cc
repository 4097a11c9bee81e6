#include "tests/sim/disk/sim_names.h"

#include <algorithm>
#include <utility>

#include "common/reached.h"

namespace kfs::sim {

FileId SimNames::Find(FileId dir, const std::string& name) const {
  const auto d = dirs_.find(dir);
  if (d == dirs_.end()) return 0;
  const auto it = d->second.now.find(name);
  return it == d->second.now.end() ? 0 : it->second;
}

void SimNames::Apply(const Change& change, Names Dir::*which) {
  if (change.from_dir != 0) {
    Names& names = dirs_[change.from_dir].*which;
    // Another file may have the name by now, where the change that gave it was kept and this one's was not.
    if (const auto it = names.find(change.from); it != names.end() && it->second == change.id)
      names.erase(it);
  }
  if (change.to_dir != 0) (dirs_[change.to_dir].*which)[change.to] = change.id;
}

void SimNames::Note(Change change) {
  Apply(change, &Dir::now);
  unsynced_.push_back(std::move(change));
}

void SimNames::Add(FileId dir, const std::string& name, FileId id) {
  Note({.id = id, .to_dir = dir, .to = name});
}

void SimNames::Remove(FileId dir, const std::string& name) {
  Note({.id = Find(dir, name), .from_dir = dir, .from = name});
}

void SimNames::Move(FileId from_dir, const std::string& from, FileId to_dir, const std::string& to) {
  Note({.id = Find(from_dir, from), .from_dir = from_dir, .from = from, .to_dir = to_dir, .to = to});
}

// Of the first so many changes, those in these directories.
void SimNames::SyncFirst(size_t count, std::set<FileId> dirs) {
  // A move between two directories is of both: the other one's earlier changes have to come first.
  for (size_t before = 0; before != dirs.size();) {
    before = dirs.size();
    for (size_t i = 0; i < count; ++i) {
      const Change& c = unsynced_[i];
      if (c.from_dir != 0 && c.to_dir != 0 && (dirs.contains(c.from_dir) || dirs.contains(c.to_dir)))
        dirs.insert({c.from_dir, c.to_dir});
    }
  }
  std::vector<Change> rest;
  for (size_t i = 0; i < unsynced_.size(); ++i) {
    Change& c = unsynced_[i];
    if (i < count && (dirs.contains(c.from_dir) || dirs.contains(c.to_dir))) {
      Apply(c, &Dir::kept);
    } else {
      rest.push_back(std::move(c));
    }
  }
  unsynced_ = std::move(rest);
}

void SimNames::Sync(FileId dir) { SyncFirst(unsynced_.size(), {dir}); }

void SimNames::SyncNamesOf(FileId id) {
  size_t count = 0;
  std::set<FileId> dirs;
  for (size_t i = 0; i < unsynced_.size(); ++i) {
    if (unsynced_[i].id != id || unsynced_[i].to_dir == 0) continue;
    count = i + 1;
    dirs.insert(unsynced_[i].to_dir);
  }
  SyncFirst(count, std::move(dirs));
}

void SimNames::SyncAll() {
  for (const Change& c : unsynced_) Apply(c, &Dir::kept);
  unsynced_.clear();
}

void SimNames::PowerLoss(Lot& lot) {
  for (const Change& c : unsynced_) {
    if (lot.Coin()) {
      Apply(c, &Dir::kept);
    } else {
      KFS_REACHED("mishap.power_took_a_name");
    }
  }
  unsynced_.clear();
  for (auto& [id, dir] : dirs_) dir.now = dir.kept;
}

void SimNames::Forget(const std::function<bool(FileId)>& reachable) {
  std::erase_if(dirs_, [&](const auto& dir) { return !reachable(dir.first); });
}

bool SimNames::MayStay(FileId id) const {
  const auto has = [id](const Names& names) {
    return std::any_of(names.begin(), names.end(), [id](const auto& name) { return name.second == id; });
  };
  return std::any_of(dirs_.begin(), dirs_.end(),
                     [&](const auto& dir) { return has(dir.second.now) || has(dir.second.kept); }) ||
         std::any_of(unsynced_.begin(), unsynced_.end(), [id](const Change& c) { return c.id == id; });
}

}  // namespace kfs::sim

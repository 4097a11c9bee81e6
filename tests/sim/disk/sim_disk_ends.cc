// How a simulated disk meets the end of its process or of its power, and what may be read off it from
// outside.
#include <algorithm>
#include <set>

#include "tests/sim/disk/hash.h"
#include "tests/sim/disk/sim_disk.h"

namespace kfs::sim {

void SimDisk::CloseAll() {
  state_.handles.clear();
  for (auto& [id, node] : state_.nodes) {
    node.opens = 0;
    node.locked_by = -1;
  }
  state_.options.faults.off_from = UINT64_MAX;
}

void SimDisk::Crash() {
  std::lock_guard lock(mutex_);
  CloseAll();
  CollectUnused();
}

void SimDisk::PowerLoss(uint64_t seed) {
  std::lock_guard lock(mutex_);
  CloseAll();
  ++state_.power_losses;
  Lot lot(seed);
  state_.names.PowerLoss(lot);
  for (auto& [id, node] : state_.nodes) node.file.PowerLoss(lot, state_.options.tearing);
  std::set<FileId> reached{kRoot};
  std::map<FileId, uint32_t> links;
  Walk(kRoot, "", [&](const std::string&, FileId id) {
    reached.insert(id);
    ++links[id];
  });
  state_.names.Forget([&](FileId id) { return reached.contains(id); });
  std::erase_if(state_.nodes, [&](const auto& node) { return !reached.contains(node.first); });
  state_.pages = 0;
  for (auto& [id, node] : state_.nodes) {
    node.links = links[id];
    state_.pages += node.file.pages();
  }
}

bool SimDisk::Rot(const std::string& path, uint64_t seed) {
  std::lock_guard lock(mutex_);
  Place at;
  if (Lookup(path, &at) != 0) return false;
  const auto it = state_.nodes.find(at.id);
  if (it == state_.nodes.end() || it->second.file.size() == 0) return false;
  Lot lot(seed);
  const uint64_t byte = lot.Below(it->second.file.size());
  state_.pages -= it->second.file.pages();
  it->second.file.Rot(byte, static_cast<int>(lot.Below(8)));
  state_.pages += it->second.file.pages();
  return true;
}

void SimDisk::SetFaults(DiskFaults faults) {
  std::lock_guard lock(mutex_);
  state_.options.faults = std::move(faults);
}

void SimDisk::BeforeCall(std::function<void(const DiskCall&)> hook) { hook_ = std::move(hook); }

uint64_t SimDisk::power_losses() const {
  std::lock_guard lock(mutex_);
  return state_.power_losses;
}

uint64_t SimDisk::calls() const {
  std::lock_guard lock(mutex_);
  return state_.calls;
}

int64_t SimDisk::latency_ns() const {
  std::lock_guard lock(mutex_);
  return state_.latency_ns;
}

uint64_t SimDisk::history_hash() const {
  std::lock_guard lock(mutex_);
  return state_.hash;
}

void SimDisk::Walk(FileId dir, const std::string& path,
                   const std::function<void(const std::string&, FileId)>& fn) const {
  for (const auto& [name, id] : state_.names.List(dir)) {
    fn(path + "/" + name, id);
    if (state_.names.IsDirectory(id)) Walk(id, path + "/" + name, fn);
  }
}

uint64_t SimDisk::content_hash(const std::function<bool(const std::string&)>& whole) const {
  std::lock_guard lock(mutex_);
  uint64_t hash = kHashSeed;
  Walk(kRoot, "", [&](const std::string& path, FileId id) {
    hash = HashMore(hash, path);
    const auto it = state_.nodes.find(id);
    if (it == state_.nodes.end()) return;
    hash = HashMore(hash, it->second.file.size());
    if (!whole(path)) return;
    std::string data(it->second.file.size(), '\0');
    (void)it->second.file.Read(data.data(), data.size(), 0);
    hash = HashMore(hash, data);
  });
  return hash;
}

std::vector<std::string> SimDisk::Paths() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  Walk(kRoot, "", [&](const std::string& path, FileId id) {
    if (!state_.names.IsDirectory(id)) paths.push_back(path);
  });
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string SimDisk::Content(const std::string& path) const {
  std::lock_guard lock(mutex_);
  Place at;
  if (Lookup(path, &at) != 0) return "";
  const auto it = state_.nodes.find(at.id);
  if (it == state_.nodes.end()) return "";
  std::string data(it->second.file.size(), '\0');
  (void)it->second.file.Read(data.data(), data.size(), 0);
  return data;
}

}  // namespace kfs::sim

#include "metaserver/chunks/disk_ages.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/utf8.h"

namespace kfs::meta {
namespace {

constexpr uint64_t kAgeMax = uint64_t{1} << 62;
constexpr size_t kNameMax = 64;

bool SaysAge(const pb::DiskStatus& disk) {
  return disk.age() != 0 && disk.age() <= kAgeMax && !disk.uuid().empty() && disk.uuid().size() <= kNameMax &&
         disk.start().size() <= kNameMax;
}

}  // namespace

Status DiskAges::Check(const Disks& shown) const {
  const pb::DiskStatus* older = nullptr;
  uint64_t highest = 0;
  for (const pb::DiskStatus& disk : shown) {
    const auto it = latest_.find(disk.uuid());
    if (!SaysAge(disk) || it == latest_.end()) continue;
    highest = std::max(highest, it->second.age());
    // Two starts at one age: both began where an earlier one had ended.
    const bool old = disk.age() < it->second.age() ||
                     (disk.age() == it->second.age() && disk.start() != it->second.start());
    if (old && older == nullptr) older = &disk;
  }
  if (older == nullptr) return {};
  return Status(
      ESTALE, Code::kOlderCopy,
      fmt::format(
          "the data directory {} is an older copy: a later start of it has been at work here (age {}). "
          "Nothing is lost yet: stop this chunkserver, put the right data directory back, start it. If "
          "there is none any more, what was written since the copy was made is lost, and it can be gone "
          "on with: start it with accept-older-copy={}",
          Printable(older->path(), 300), latest_.at(older->uuid()).age(), highest));
}

bool DiskAges::Note(const Disks& shown) {
  bool news = false;
  for (const pb::DiskStatus& disk : shown) {
    if (!SaysAge(disk)) continue;
    const auto it = latest_.find(disk.uuid());
    if (it == latest_.end() && latest_.size() >= kMax) continue;
    if (it != latest_.end() && disk.age() <= it->second.age()) continue;
    rec::DiskAge& age = latest_[disk.uuid()];
    age.set_uuid(disk.uuid());
    age.set_age(disk.age());
    age.set_start(disk.start());
    news = true;
  }
  return news;
}

void DiskAges::Load(const rec::Chunkserver& record) {
  for (const rec::DiskAge& age : record.disk()) latest_[age.uuid()] = age;
}

void DiskAges::Store(rec::Chunkserver* record) const {
  for (const auto& [uuid, age] : latest_) *record->add_disk() = age;
}

}  // namespace kfs::meta

#include "metaserver/chunks/disk_ages.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "common/utf8.h"

namespace kfs::meta {
namespace {

constexpr uint64_t kAgeMax = uint64_t{1} << 62;
constexpr size_t kNameMax = 64;
constexpr int64_t kTimeMax = int64_t{1} << 62;  // a year of four digits

bool SaysAge(const pb::DiskStatus& disk) {
  return disk.age() != 0 && disk.age() <= kAgeMax && !disk.uuid().empty() && disk.uuid().size() <= kNameMax &&
         disk.start().size() <= kNameMax;
}

std::string Date(int64_t ns) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(ns / 1'000'000'000)));
}

// Neither of the two has everything any more.
std::string AnotherWasAccepted(const pb::DiskStatus& shown, const rec::DiskAge& used, uint64_t highest) {
  const std::string date = Date(used.copy_accepted());
  // Its content's age is less than what its start shows.
  const bool has_more = shown.age() > used.copy_age() + 1;
  return fmt::format(
      "the data directory {} is not the one that is used: another copy of it was accepted on {} "
      "(accept-older-copy), and has been at work here since (age {}){}. Nothing is lost yet: stop this "
      "chunkserver, keep this directory, and put the right data directory back, which is the accepted one now"
      "{}. Only to go on with this one for good, start it with accept-older-copy={}: what was written since "
      "{} is lost then, so copy it out of a mount first",
      Printable(shown.path(), 300), date, used.age(),
      has_more ? "; this one has data which the accepted one has not, and lacks what was written since" : "",
      has_more ? "; what that one has not is to be had from a backup of the files, or from this directory"
               : "",
      highest, date);
}

}  // namespace

std::string DiskAges::CopyAccepted() const {
  int64_t last = 0;
  for (const auto& [uuid, age] : latest_) last = std::max(last, age.copy_accepted());
  return last == 0 ? "" : Date(last);
}

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
  if (const rec::DiskAge& used = latest_.at(older->uuid()); used.copy_accepted() != 0)
    return Status(ESTALE, Code::kOlderCopy, AnotherWasAccepted(*older, used, highest));
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
    news = true;
    rec::DiskAge& age = latest_[disk.uuid()];
    age.set_uuid(disk.uuid());
    age.set_age(disk.age());
    age.set_start(disk.start());
    if (disk.copy_accepted() <= 0) continue;
    age.set_copy_accepted(std::min(disk.copy_accepted(), kTimeMax));
    age.set_copy_age(std::min(disk.copy_age(), kAgeMax));
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

#include "chunkserver/disk_age.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "chunkserver/chunk_store.h"
#include "chunkserver/text_record.h"
#include "common/log.h"
#include "common/uuid.h"

namespace kfs {
namespace {

constexpr char kAgeTitle[] = "kfs-chunk-age";
constexpr char kAgeName[] = "kfs-disk.age";

void NoteAge(Disk& disk, DiskAge next) {
  if (Status s = disk.WriteSmallFile(kAgeName, EncodeDiskAge(next)); !s.ok()) {
    KFS_LOG(warn, "disk.age_not_saved disk={} age={} reason=\"{}\"", disk.path(), next.age, s.ToString());
    return;
  }
  disk.SetAge(std::move(next));
}

// What cannot be read counts as none: the metaservers find out what it should have been.
DiskAge LastAge(const Disk& disk) {
  const Result<std::string> text = disk.ReadSmallFile(kAgeName);
  if (text.status().err() == ENOENT) return {};
  Result<DiskAge> age = text.ok() ? DecodeDiskAge(*text) : Result<DiskAge>(text.status());
  if (age.ok()) return *age;
  KFS_LOG(warn, "disk.age_unreadable disk={} reason=\"{}\"", disk.path(), age.status().ToString());
  return {};
}

}  // namespace

std::string EncodeDiskAge(const DiskAge& age) {
  std::string text = fmt::format("age={}\nstart={}\ntaken={}\n", age.age, age.start, age.taken ? 1 : 0);
  if (age.copy_accepted != 0)
    text += fmt::format("copy_accepted={}\ncopy_age={}\n", age.copy_accepted, age.copy_age);
  return SealTextRecord(TextRecordHead(kAgeTitle) + text);
}

DiskAge DiskAge::Next(uint64_t to, std::string by) const {
  DiskAge next = *this;
  next.age = to;
  next.start = std::move(by);
  next.taken = false;
  return next;
}

Result<DiskAge> DecodeDiskAge(const std::string& text) {
  std::multimap<std::string, std::string> fields;
  if (ParseTextRecord(text, kAgeTitle, &fields) != TextRecord::kGood)
    return Status(EIO, Code::kCorrupt, "damaged, or of a newer version");
  const auto field = [&fields](const char* name) {
    const auto it = fields.find(name);
    return it == fields.end() ? std::string() : it->second;
  };
  DiskAge age{.age = std::strtoull(field("age").c_str(), nullptr, 10),
              .start = field("start"),
              .taken = field("taken") == "1",
              .copy_accepted = std::strtoll(field("copy_accepted").c_str(), nullptr, 10),
              .copy_age = std::strtoull(field("copy_age").c_str(), nullptr, 10)};
  if (age.age == 0 || age.age > DiskAges::kMax || age.start.empty())
    return Status(EIO, Code::kCorrupt, "it says no age");
  return age;
}

void DiskAges::Begin(uint64_t over) {
  std::lock_guard lock(mutex_);
  for (const auto& disk : store_->disks()) {
    if (!disk->healthy()) continue;
    const DiskAge last = LastAge(*disk);
    disk->SetAge(last);
    if (last.age != 0 && !last.taken && last.age > over) continue;
    DiskAge next = last.Next(std::max(last.age, over) + 1, NewUuid(store_->entropy()));
    if (last.age != 0 && last.age <= over) {
      KFS_LOG(warn, "disk.older_copy_accepted disk={} age={} over={}", disk->path(), last.age, over);
      next.copy_accepted = std::max<TimeNs>(1, store_->clock().WallNow());
      next.copy_age = last.taken ? last.age : last.age - 1;  // its refused start raised it
    }
    NoteAge(*disk, std::move(next));
  }
}

void DiskAges::Taken() {
  std::lock_guard lock(mutex_);
  if (taken_ || refused_) return;
  taken_ = true;
  for (const auto& disk : store_->disks()) {
    DiskAge age = disk->age();
    if (!disk->healthy() || age.age == 0 || age.taken) continue;
    age.taken = true;
    NoteAge(*disk, std::move(age));
  }
}

void DiskAges::Refused() {
  std::lock_guard lock(mutex_);
  if (refused_) return;
  refused_ = true;
  for (const auto& disk : store_->disks()) {
    DiskAge age = disk->age();
    if (!disk->healthy() || age.age == 0 || !age.taken) continue;
    age.taken = false;
    NoteAge(*disk, std::move(age));
  }
}

void DiskAges::GoOn() {
  std::lock_guard lock(mutex_);
  if (!taken_ || refused_) return;
  for (const auto& disk : store_->disks()) {
    DiskAge age = disk->age();
    if (!disk->healthy() || age.age == 0 || age.age >= kMax || !disk->TakeAged()) continue;
    ++age.age;
    NoteAge(*disk, std::move(age));
  }
}

}  // namespace kfs

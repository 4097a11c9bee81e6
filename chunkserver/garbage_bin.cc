#include "chunkserver/garbage_bin.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "common/log.h"

namespace kfs {
namespace {

constexpr int kFoldersAtOnce = 24;
constexpr uint32_t kParts = 256;

template <typename Fn>
void ForEachInBin(FileOps* ops, const std::string& dir, Fn fn) {
  std::vector<std::string> names;
  (void)ops->List(dir, &names);
  for (const std::string& name : names) {
    if (!fn(std::string_view(name))) break;
  }
}

uint64_t AllocatedBytes(FileOps* ops, const std::string& path) {
  struct stat st {};
  return ops->Stat(path, &st) == 0 ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
}

uint64_t WallSeconds(const Clock& clock) {
  return static_cast<uint64_t>(std::max<TimeNs>(clock.WallNow(), 0) / 1'000'000'000);
}

std::string Part(const std::string& folder, uint32_t part) { return fmt::format("{}/{:02x}", folder, part); }

bool Number(std::string_view text, int base, uint64_t* value) {
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return ec == std::errc() && end == text.data() + text.size();
}

// From "7.000000000000002a.meta" and the like; false for other names.
bool ParseName(std::string_view name, ChunkKey* key, std::string_view* suffix) {
  const size_t dot = name.find('.'), second = dot == name.npos ? dot : name.find('.', dot + 1);
  uint64_t volume = 0;
  if (second == name.npos || !Number(name.substr(0, dot), 10, &volume) ||
      !Number(name.substr(dot + 1, second - dot - 1), 16, &key->chunk.v))
    return false;
  key->volume = VolumeId(static_cast<uint32_t>(volume));
  *suffix = name.substr(second + 1);
  return true;
}

bool Exists(FileOps* ops, const std::string& path) {
  struct stat st {};
  return ops->Stat(path, &st) == 0;
}

}  // namespace

std::string GarbageBin::FolderPath(uint64_t when) const {
  return fmt::format("{}/garbage/{:010}", root_, when);
}

std::string GarbageBin::File(uint64_t when, ChunkKey key, std::string_view suffix) const {
  return fmt::format("{}/{:02x}/{}.{:016x}.{}", FolderPath(when), key.chunk.v & 0xff, key.volume.v,
                     key.chunk.v, suffix);
}

void GarbageBin::Start(MonoTime now) {
  std::lock_guard lock(mutex_);
  ForEachInBin(ops_, root_ + "/garbage", [&](std::string_view name) {
    uint64_t when = 0;
    if (name.size() == 10 && Number(name, 10, &when)) folders_[when] = {now, false};
    return true;
  });
  uncounted_ = !folders_.empty();
  uint64_t aside = 0;
  ForEachInBin(ops_, root_ + "/aside", [&](std::string_view) { return ++aside != 0; });
  aside_ = aside;
}

void GarbageBin::Count() {
  if (!uncounted_) return;
  std::vector<uint64_t> folders;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [when, folder] : folders_) {
      if (!folder.counted) folders.push_back(when);
    }
  }
  for (uint64_t when : folders) {
    // Held meanwhile, so that nothing is counted twice or not at all.
    std::lock_guard lock(mutex_);
    const auto it = folders_.find(when);
    if (it == folders_.end()) continue;
    for (uint32_t part = 0; part < kParts; ++part) {
      const std::string path = Part(FolderPath(when), part);
      ForEachInBin(ops_, path, [&](std::string_view name) {
        if (name.ends_with(".meta")) ++chunks_;
        bytes_ += static_cast<int64_t>(AllocatedBytes(ops_, path + "/" + std::string(name)));
        return true;
      });
    }
    it->second.counted = true;
  }
  uncounted_ = false;
}

Result<uint64_t> GarbageBin::PresentFolder(ChunkKey key, Duration keep, const Clock& clock) {
  const uint64_t now = WallSeconds(clock);
  const uint64_t span =
      static_cast<uint64_t>(std::max<int64_t>(keep / kFoldersAtOnce / std::chrono::seconds(1), 1));
  uint64_t when = now;
  if (!folders_.empty()) {
    const uint64_t newest = folders_.rbegin()->first;
    if (newest <= now && now - newest < span && folders_.rbegin()->second.counted) when = newest;
  }
  const auto part = static_cast<uint32_t>(key.chunk.v & 0xff);
  for (const std::string& dir : {root_ + "/garbage", FolderPath(when), Part(FolderPath(when), part)}) {
    if (int err = ops_->Mkdir(dir); err < 0 && err != -EEXIST) return ErrnoStatus(-err, "mkdir " + dir);
  }
  folders_.try_emplace(when, Folder{clock.MonoNow()});
  return when;
}

// Whether a file was there, and is not any more.
bool GarbageBin::Gone(const std::string& path, uint64_t* bytes) {
  const uint64_t had = AllocatedBytes(ops_, path);
  if (ops_->Unlink(path) < 0) return false;
  *bytes += had;
  return true;
}

Status GarbageBin::Put(ChunkKey key, const std::string& meta, const std::string& data, Duration keep,
                       const Clock& clock) {
  std::lock_guard lock(mutex_);
  Result<uint64_t> when = PresentFolder(key, keep, clock);
  if (!when.ok()) return when.status();
  const std::string to_meta = File(*when, key, "meta"), to_data = File(*when, key, "data");
  if (Exists(ops_, to_meta)) {  // it was deleted before, and taken back
    uint64_t before = 0;
    const bool there = Gone(to_meta, &before);
    (void)Gone(to_data, &before);
    Uncount(*when, there ? 1 : 0, before);
  }
  const uint64_t bytes = AllocatedBytes(ops_, data) + AllocatedBytes(ops_, meta);
  int err = ops_->Rename(meta, to_meta);
  if (err < 0 && err != -ENOENT) return ErrnoStatus(-err, "move " + meta);
  ++chunks_;
  bytes_ += static_cast<int64_t>(bytes);
  // If it does not follow, it is found without a header, and then it does.
  err = ops_->Rename(data, to_data);
  if (err < 0 && err != -ENOENT)
    KFS_LOG(warn, "garbage.data_left path={} reason=\"{}\"", data, ErrnoText(-err));
  if (keep == Duration::zero()) DropOne(*when, key);
  return {};
}

bool GarbageBin::Has(ChunkKey key) {
  if (empty()) return false;
  std::lock_guard lock(mutex_);
  return std::any_of(folders_.begin(), folders_.end(),
                     [&](const auto& folder) { return Exists(ops_, File(folder.first, key, "meta")); });
}

bool GarbageBin::TakeBack(ChunkKey key, const std::string& meta, const std::string& data) {
  std::lock_guard lock(mutex_);
  for (auto it = folders_.rbegin(); it != folders_.rend(); ++it) {
    const std::string from = File(it->first, key, "meta");
    if (!Exists(ops_, from)) continue;
    const uint64_t bytes = AllocatedBytes(ops_, from) + AllocatedBytes(ops_, File(it->first, key, "data"));
    // Data first: it is the header that makes a chunk.
    int err = ops_->Rename(File(it->first, key, "data"), data);
    if (err == 0) err = ops_->Rename(from, meta);
    if (err < 0) {
      KFS_LOG(error, "garbage.not_taken_back chunk={} path={} reason=\"{}\"", key.ToString(), from,
              ErrnoText(-err));
      return false;
    }
    Uncount(it->first, 1, bytes);
    return true;
  }
  return false;
}

bool GarbageBin::Rejoin(ChunkKey key, const std::string& data) {
  std::lock_guard lock(mutex_);
  for (auto it = folders_.rbegin(); it != folders_.rend(); ++it) {
    if (!Exists(ops_, File(it->first, key, "meta")) || Exists(ops_, File(it->first, key, "data"))) continue;
    return ops_->Rename(data, File(it->first, key, "data")) == 0;
  }
  return false;
}

Status GarbageBin::SetAside(ChunkKey key, const std::string& data, std::string* kept_as) {
  std::lock_guard lock(mutex_);
  const std::string folder = root_ + "/aside";
  if (int err = ops_->Mkdir(folder); err < 0 && err != -EEXIST) return ErrnoStatus(-err, "mkdir " + folder);
  // Under a name of its own: an earlier one of this chunk may be there.
  for (int n = 0; n < 1000; ++n) {
    *kept_as = fmt::format("{}/{}.{:016x}{}.data", folder, key.volume.v, key.chunk.v,
                           n == 0 ? "" : fmt::format(".{}", n));
    if (Exists(ops_, *kept_as)) continue;
    if (int err = ops_->Rename(data, *kept_as); err < 0) return ErrnoStatus(-err, "move " + data);
    ++aside_;
    return {};
  }
  return Status(EEXIST, folder + " is full of data files of this chunk");
}

std::optional<uint64_t> GarbageBin::Due(uint64_t from, Duration keep, const Clock& clock) {
  const uint64_t now = WallSeconds(clock), keep_s = static_cast<uint64_t>(keep / std::chrono::seconds(1));
  std::lock_guard lock(mutex_);
  for (auto it = folders_.lower_bound(from); it != folders_.end(); ++it) {
    const Duration seen_for = clock.MonoNow() - it->second.seen;
    const bool old = it->first <= now ? now - it->first > keep_s : seen_for > keep;
    if (old && seen_for >= std::min<Duration>(keep, kSeenFor)) return it->first;
  }
  return {};
}

std::vector<ChunkKey> GarbageBin::List(uint64_t when, uint32_t part) {
  std::vector<ChunkKey> keys;
  std::lock_guard lock(mutex_);
  ForEachInBin(ops_, Part(FolderPath(when), part), [&](std::string_view name) {
    ChunkKey key;
    std::string_view suffix;
    if (ParseName(name, &key, &suffix) && suffix == "meta") keys.push_back(key);
    return true;
  });
  return keys;
}

void GarbageBin::Drop(uint64_t when, ChunkKey key) {
  std::lock_guard lock(mutex_);
  DropOne(when, key);
}

void GarbageBin::DropOne(uint64_t when, ChunkKey key) {
  uint64_t bytes = 0;
  const bool there = Gone(File(when, key, "meta"), &bytes);
  (void)Gone(File(when, key, "data"), &bytes);
  Uncount(when, there ? 1 : 0, bytes);
}

void GarbageBin::Uncount(uint64_t when, int64_t chunks, uint64_t bytes) {
  const auto it = folders_.find(when);
  if (it == folders_.end() || !it->second.counted) return;
  chunks_ -= chunks;
  bytes_ -= static_cast<int64_t>(bytes);
}

void GarbageBin::RemoveFolder(uint64_t when) {
  for (uint32_t part = 0; part < kParts; ++part) (void)ops_->Rmdir(Part(FolderPath(when), part));
  if (const int err = ops_->Rmdir(FolderPath(when)); err == 0 || err == -ENOENT) folders_.erase(when);
}

void GarbageBin::RemoveIfEmpty(uint64_t when) {
  std::lock_guard lock(mutex_);
  if (folders_.empty() || folders_.rbegin()->first == when) return;  // it may be the present one
  RemoveFolder(when);
}

// Up to about `max` chunks of a folder, and the folder once it is empty. The bytes that were freed.
uint64_t GarbageBin::DropSome(uint64_t when, size_t max, bool* all) {
  std::vector<std::string> paths;
  for (uint32_t part = 0; part < kParts && paths.size() < 2 * max; ++part) {
    const std::string folder = Part(FolderPath(when), part);
    ForEachInBin(ops_, folder, [&](std::string_view name) {
      paths.push_back(folder + "/" + std::string(name));
      return paths.size() < 2 * max;
    });
  }
  uint64_t bytes = 0;
  int64_t chunks = 0;
  for (const std::string& path : paths) {
    if (Gone(path, &bytes) && path.ends_with(".meta")) ++chunks;
  }
  Uncount(when, chunks, bytes);
  *all = paths.size() < 2 * max;
  if (*all) RemoveFolder(when);
  return bytes;
}

uint64_t GarbageBin::DropOldest() {
  std::lock_guard lock(mutex_);
  const std::map<uint64_t, Folder> folders = folders_;
  for (const auto& [when, folder] : folders) {
    bool all = false;
    const uint64_t bytes = DropSome(when, kDropBatch, &all);
    if (bytes != 0) return bytes;
  }
  return 0;
}

}  // namespace kfs

#include "chunkserver/disk.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/log.h"

namespace kfs {
namespace {

constexpr uint64_t kPlenty = 256ull << 20;  // below this, space is allocated before it is written to

constexpr uint64_t kRoomStep = 16ull << 20;  // made at once when a write needs some

// None where it cannot be read.
std::vector<std::string> NamesIn(FileOps* ops, const std::string& dir) {
  std::vector<std::string> names;
  (void)ops->List(dir, &names);
  return names;
}

}  // namespace

std::unique_ptr<Disk> Disk::Open(std::string path, FileOps* ops, uint64_t reserve_bytes, const Clock& clock) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::unique_ptr<Disk> disk(new Disk(std::move(path), ops, reserve_bytes));
  if (Status st = disk->Start(clock); !st.ok()) {
    disk->healthy_ = false;
    disk->error_ = st.ToString();
    KFS_LOG(error, "disk.unusable path={} reason=\"{}\"", disk->path_, disk->error_);
  }
  return disk;
}

Status Disk::Start(const Clock& clock) {
  int err = ops_->Mkdir(path_);
  // Else all that is synced in it could go with its name.
  if (err == 0) err = ops_->FsyncDir(ParentOf(path_));
  if (err < 0 && err != -EEXIST) return ErrnoStatus(-err, "mkdir " + path_);
  int fd = ops_->Open(path_, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return ErrnoStatus(-fd, "open " + path_);
  dir_ = std::make_unique<Fd>(ops_, fd);
  file_system_ = ops_->FileSystemId(fd);
  fd = ops_->Open(path_ + "/kfs-disk.lock", O_RDWR | O_CREAT);
  if (fd < 0) return ErrnoStatus(-fd, "open " + path_ + "/kfs-disk.lock");
  lock_ = std::make_unique<Fd>(ops_, fd);
  if (ops_->Lock(fd) < 0) {
    return Status(
        EBUSY, path_ + " is in use by another kfs-chunkserver; stop that one or name another data directory");
  }
  KFS_RETURN_IF_ERROR(ReadIdentity());
  RefreshSpace();
  CountChunks();
  bin_.Start(clock.MonoNow());
  // Full but for what may go when somebody needs the room: known before the metaservers are told how much
  // there is. (Else it is counted in the background.)
  if (available_ < EnoughSpace()) bin_.Count();
  return {};
}

Status Disk::ReadIdentity() {
  auto text = ReadSmallFile("kfs-disk");
  if (text.status().err() == ENOENT) return MayBecomeOurs();
  if (!text.ok()) return text.status();
  auto identity = DecodeDiskIdentity(*text, path_ + "/kfs-disk");
  if (!identity.ok()) return identity.status();
  std::lock_guard lock(mutex_);
  identity_ = *identity;
  return {};
}

Result<std::string> Disk::ReadSmallFile(const std::string& name) const {
  const std::string file = path_ + "/" + name;
  int fd = ops_->Open(file, O_RDONLY);
  if (fd < 0) return ErrnoStatus(-fd, "open " + file);
  Fd owner(ops_, fd);
  std::string text(kSmallFileMax, '\0');
  ssize_t n = ops_->PreadAll(fd, text.data(), text.size(), 0);
  if (n < 0) return ErrnoStatus(static_cast<int>(-n), "read " + file);
  text.resize(static_cast<size_t>(n));
  return text;
}

// A directory without an identity is new, and then there is nothing else in it.
Status Disk::MayBecomeOurs() const {
  for (const std::string& name : NamesIn(ops_, path_)) {
    if (name == "lost+found" || name.starts_with("kfs-disk")) continue;
    return Status(
        ENOTEMPTY,
        fmt::format("{} holds no chunks of KFS, but it is not empty (\"{}\"): use an empty directory, "
                    "or the right one",
                    path_, name));
  }
  return {};
}

DiskIdentity Disk::identity() const {
  std::lock_guard lock(mutex_);
  return identity_;
}

DiskAge Disk::age() const {
  std::lock_guard lock(mutex_);
  return age_;
}

void Disk::SetAge(DiskAge age) {
  std::lock_guard lock(mutex_);
  age_ = std::move(age);
}

Status Disk::SetIdentity(const DiskIdentity& identity) {
  KFS_RETURN_IF_ERROR(WriteSmallFile("kfs-disk", EncodeDiskIdentity(identity)));
  std::lock_guard lock(mutex_);
  identity_ = identity;
  return {};
}

Status Disk::WriteSmallFile(const std::string& name, const std::string& text) {
  const std::string file = path_ + "/" + name, temp = file + ".new";
  int fd = ops_->Open(temp, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd < 0) return ErrnoStatus(-fd, "create " + temp);
  Fd owner(ops_, fd);
  int err = ops_->PwriteAll(fd, text.data(), text.size(), 0);
  if (err == 0) err = ops_->Fdatasync(fd);
  if (err < 0) return ErrnoStatus(-err, "write " + temp);
  err = ops_->Rename(temp, file);
  if (err < 0) return ErrnoStatus(-err, "rename " + temp);
  err = ops_->FsyncDir(path_);
  if (err < 0) return ErrnoStatus(-err, "fsync " + path_);
  return {};
}

void Disk::NoteError(int err, const std::string& what) {
  if (err != EIO && err != EROFS && err != ENODEV && err != ENXIO && err != ESHUTDOWN && err != EUCLEAN)
    return;
  std::lock_guard lock(mutex_);
  if (!healthy_.exchange(false)) return;
  error_ = what + ": " + ErrnoText(err);
  KFS_LOG(error, "disk.sick path={} reason=\"{}\"", path_, error_);
}

std::string Disk::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

Disk::Space Disk::RefreshSpace() {
  struct statvfs st {};
  int err = ops_->Statvfs(path_, &st);
  if (err < 0) {
    NoteError(-err, "statvfs " + path_);
    return space();
  }
  // As df reckons: what the file system keeps back for root is neither used nor ours.
  const uint64_t free = st.f_bavail * st.f_frsize, total = (st.f_blocks - st.f_bfree) * st.f_frsize + free;
  // Room for the reserve's own purpose: cleaning, block tables and partial zeroing must go on when users'
  // data is refused.
  const uint64_t configured = configured_reserve_;
  reserve_ = configured != 0 ? configured
                             : std::min<uint64_t>(std::max<uint64_t>(total / 100, 512u << 10), 64u << 20);
  capacity_ = total;
  available_ = free > reserve_ ? free - reserve_ : 0;
  return space();
}

bool Disk::PlentyOfSpace(uint64_t bytes) {
  uint64_t now = available_.load(std::memory_order_relaxed);
  if (now < kPlenty + bytes) return false;
  available_.fetch_sub(bytes,
                       std::memory_order_relaxed);  // an estimate; RefreshSpace sets it right every second
  return true;
}

bool Disk::MakeRoom(uint64_t bytes) {
  uint64_t freed = 0;
  while (freed < bytes + kRoomStep) {
    const uint64_t now = bin_.DropOldest();
    if (now == 0) break;
    freed += now;
  }
  if (freed == 0) return false;
  KFS_LOG(info, "garbage.made_room disk={} bytes={} left_chunks={}", path_, freed, bin_.chunks());
  (void)RefreshSpace();
  return true;
}

uint64_t Disk::EnoughSpace() const {
  return std::min<uint64_t>(std::max<uint64_t>(capacity_ / 20, 2 * kPlenty), capacity_ / 4);
}

void Disk::RelievePressure() {
  const uint64_t wanted = EnoughSpace();
  if (const uint64_t free = available_; healthy_ && free < wanted && !bin_.empty())
    (void)MakeRoom(wanted - free);
}

Status Disk::Syncfs() {
  int err = dir_ == nullptr ? -EIO : ops_->Syncfs(dir_->get());
  if (err == 0) {
    synced_ = true;
    return {};
  }
  NoteError(-err, "syncfs " + path_);
  return ErrnoStatus(-err, "syncfs " + path_);
}

std::string Disk::ChunkDir(VolumeId volume, uint8_t low) const {
  return fmt::format("{}/v{}/{:02x}/", path_, volume.v, low);
}

std::string Disk::Name(ChunkKey key) { return fmt::format("{:016x}", key.chunk.v); }

bool Disk::ParseName(std::string_view name, ChunkId* chunk, std::string_view* suffix) {
  if (name.size() < 17 || name[16] != '.') return false;
  auto [end, ec] = std::from_chars(name.data(), name.data() + 16, chunk->v, 16);
  if (ec != std::errc() || end != name.data() + 16) return false;
  *suffix = name.substr(17);
  return true;
}

Status Disk::MakeChunkDir(ChunkKey key) {
  std::string leaf = ChunkDir(key);
  leaf.pop_back();
  for (const std::string& dir : {fmt::format("{}/v{}", path_, key.volume.v), leaf}) {
    int err = ops_->Mkdir(dir);
    if (err < 0 && err != -EEXIST) {
      NoteError(-err, "mkdir " + dir);
      return ErrnoStatus(-err, "mkdir " + dir);
    }
  }
  return {};
}

Status Disk::SyncChunkDir(ChunkKey key) {
  for (const std::string& dir : {ChunkDir(key), fmt::format("{}/v{}", path_, key.volume.v), path_}) {
    int err = ops_->FsyncDir(dir);
    if (err < 0) {
      NoteError(-err, "fsync " + dir);
      return ErrnoStatus(-err, "fsync " + dir);
    }
  }
  return {};
}

std::vector<uint32_t> Disk::Volumes() const {
  std::vector<uint32_t> volumes;
  for (const std::string& name : NamesIn(ops_, path_)) {
    uint32_t v = 0;
    if (name.size() < 2 || name[0] != 'v') continue;
    auto [end, ec] = std::from_chars(name.data() + 1, name.data() + name.size(), v);
    if (ec == std::errc() && end == name.data() + name.size()) volumes.push_back(v);
  }
  std::sort(volumes.begin(), volumes.end());
  return volumes;
}

void Disk::CountChunks() {
  int64_t count = 0;
  for (uint32_t volume : Volumes()) {
    for (int low = 0; low < 256; ++low) {
      for (const std::string& name : NamesIn(ops_, ChunkDir(VolumeId(volume), static_cast<uint8_t>(low)))) {
        if (name.ends_with(".meta")) ++count;
      }
    }
  }
  chunks = count;
}

}  // namespace kfs

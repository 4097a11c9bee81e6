#include "tests/sim/disk/sim_disk.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tests/sim/disk/hash.h"

namespace kfs::sim {
// One call, from its number to its answer; holds the mutex.
class SimDisk::Step {
 public:
  Step(SimDisk& disk, DiskOp op, std::string path, uint64_t offset = 0, uint64_t size = 0)
      : disk_(disk), call_{.op = op, .path = std::move(path), .offset = offset, .size = size}, size_(size) {
    if (call_.changes() && disk.hook_) {
      call_.number = disk.calls();
      disk.hook_(call_);
    }
    lock_ = std::unique_lock(disk.mutex_);
    call_.number = disk.state_.calls;
    if (call_.changes()) ++disk.state_.calls;
    err_ = disk.Fault(call_, &size_);
  }

  int err() const { return err_; }         // what is to be answered in place of doing it, or 0
  uint64_t size() const { return size_; }  // how much of it is to be done
  uint64_t number() const { return call_.number; }

  template <typename T>
  T Done(T result) {
    uint64_t hash = HashMore(disk_.state_.hash, call_.path);
    for (uint64_t part : {static_cast<uint64_t>(call_.op), call_.offset, call_.size,
                          static_cast<uint64_t>(static_cast<int64_t>(result))})
      hash = HashMore(hash, part);
    disk_.state_.hash = hash;
    return result;
  }

 private:
  SimDisk& disk_;
  DiskCall call_;
  uint64_t size_;
  std::unique_lock<std::mutex> lock_;
  int err_ = 0;
};

SimDisk::SimDisk(Options options) {
  state_.faults_lot = Lot(options.seed ^ 0x6469736bull);
  state_.options = std::move(options);
  state_.hash = kHashSeed;
  state_.names.AddDirectory(kRoot);
}

std::unique_ptr<SimDisk> SimDisk::Clone() const {
  auto clone = std::make_unique<SimDisk>(Options());
  std::lock_guard lock(mutex_);
  clone->state_ = state_;
  return clone;
}

int SimDisk::Fault(const DiskCall& call, uint64_t* size) {
  const DiskFaults& f = state_.options.faults;
  Lot& lot = state_.faults_lot;
  if (f.latency_max_ns > 0)
    state_.latency_ns += static_cast<int64_t>(lot.Below(static_cast<uint64_t>(f.latency_max_ns) + 1));
  if (call.number >= f.off_from) return -EIO;
  if (call.changes()) {
    if (const auto it = f.fail.find(call.number); it != f.fail.end()) return -it->second;
  }
  switch (call.op) {
    case DiskOp::kRead:
      return lot.InTenThousand(f.read_eio) ? -EIO : 0;
    case DiskOp::kWrite:
      if (lot.InTenThousand(f.write_eio)) return -EIO;
      if (lot.InTenThousand(f.no_space)) return -ENOSPC;
      if (*size > 1 && lot.InTenThousand(f.short_write)) *size = 1 + lot.Below(*size - 1);
      return 0;
    case DiskOp::kSync:
    case DiskOp::kSyncDir:
    case DiskOp::kSyncAll:
      return lot.InTenThousand(f.sync_eio) ? -EIO : 0;
    case DiskOp::kLook:
      return 0;
    default:
      return lot.InTenThousand(f.no_space) ? -ENOSPC : 0;
  }
}

int SimDisk::Lookup(const std::string& path, Place* place) const {
  *place = {.dir = 0, .id = kRoot, .name = ""};
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (place->id == 0) return -ENOENT;
    if (!state_.names.IsDirectory(place->id)) return -ENOTDIR;
    place->dir = place->id;
    place->name = std::move(part);
    place->id = state_.names.Find(place->dir, place->name);
  }
  return 0;
}

int SimDisk::Find(const std::string& path, Place* place) const {
  const int err = Lookup(path, place);
  return err == 0 && place->id == 0 ? -ENOENT : err;
}

int SimDisk::Open(const std::string& path, int flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  Step step(*this, (flags & (O_CREAT | O_TRUNC)) != 0 ? DiskOp::kOpen : DiskOp::kLook, path,
            static_cast<uint64_t>(flags));
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Lookup(path, &at); err != 0) return step.Done(err);
  if (at.id == 0) {
    if ((flags & O_CREAT) == 0) return step.Done(-ENOENT);
    at.id = state_.next_id++;
    state_.nodes[at.id].links = 1;
    state_.names.Add(at.dir, at.name, at.id);
  } else if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
    return step.Done(-EEXIST);
  }
  if (state_.names.IsDirectory(at.id)) {
    if (writes) return step.Done(-EISDIR);
  } else if ((flags & O_DIRECTORY) != 0) {
    return step.Done(-ENOTDIR);
  } else {
    Node& node = state_.nodes[at.id];
    if ((flags & O_TRUNC) != 0) {
      state_.pages -= node.file.pages();
      node.file.Truncate(0);
      node.changed = step.number();
    }
    ++node.opens;
  }
  state_.handles[state_.next_fd] = {at.id, writes, path};
  return step.Done(state_.next_fd++);
}

int SimDisk::Close(int fd) {
  std::lock_guard lock(mutex_);
  const auto it = state_.handles.find(fd);
  if (it == state_.handles.end()) return -EBADF;
  const FileId id = it->second.id;
  state_.handles.erase(it);
  if (const auto node = state_.nodes.find(id); node != state_.nodes.end()) {
    if (node->second.locked_by == fd) node->second.locked_by = -1;
    --node->second.opens;
    Collect(id);
  }
  return 0;
}

// A file that has neither a name nor a user goes once no loss of power can bring it back.
void SimDisk::Collect(FileId id) {
  const auto it = state_.nodes.find(id);
  if (it == state_.nodes.end() || it->second.links != 0 || it->second.opens != 0) return;
  if (!state_.names.MayStay(id)) {
    state_.pages -= it->second.file.pages();
    state_.nodes.erase(it);
  }
}

void SimDisk::CollectUnused() {
  std::vector<FileId> unused;
  for (const auto& [id, node] : state_.nodes) {
    if (node.links == 0 && node.opens == 0) unused.push_back(id);
  }
  for (const FileId id : unused) Collect(id);
}

void SimDisk::Unlinked(FileId id) {
  if (const auto it = state_.nodes.find(id); it != state_.nodes.end()) --it->second.links;
  Collect(id);
}

std::string SimDisk::PathOf(int fd) const {
  std::lock_guard lock(mutex_);
  const auto it = state_.handles.find(fd);
  return it == state_.handles.end() ? "" : it->second.path;
}

SimDisk::Node* SimDisk::NodeOf(int fd, bool to_write) {
  const auto it = state_.handles.find(fd);
  if (it == state_.handles.end() || (to_write && !it->second.writes)) return nullptr;
  const auto node = state_.nodes.find(it->second.id);
  return node == state_.nodes.end() ? nullptr : &node->second;
}

ssize_t SimDisk::Read(int fd, char* data, uint64_t size, uint64_t offset) {
  Step step(*this, DiskOp::kRead, PathOf(fd), offset, size);
  if (step.err() != 0) return step.Done(static_cast<ssize_t>(step.err()));
  const Node* node = NodeOf(fd, /*to_write=*/false);
  if (node == nullptr) return step.Done(static_cast<ssize_t>(-EBADF));
  return step.Done(static_cast<ssize_t>(node->file.Read(data, size, offset)));
}

ssize_t SimDisk::Write(int fd, std::string_view data, uint64_t offset) {
  Step step(*this, DiskOp::kWrite, PathOf(fd), offset, data.size());
  if (step.err() != 0) return step.Done(static_cast<ssize_t>(step.err()));
  Node* node = NodeOf(fd, /*to_write=*/true);
  if (node == nullptr) return step.Done(static_cast<ssize_t>(-EBADF));
  data = data.substr(0, step.size());
  const uint64_t free = state_.options.capacity_bytes / kPageSize - state_.pages;
  while (!data.empty() && node->file.PagesMissing(offset, data.size()) > free) {
    // The last page does not fit.
    const uint64_t end = offset + data.size(), page_begin = (end - 1) / kPageSize * kPageSize;
    data = data.substr(0, page_begin > offset ? page_begin - offset : 0);
    if (data.empty()) return step.Done(static_cast<ssize_t>(-ENOSPC));
  }
  const uint64_t before = node->file.pages();
  node->file.Write(data, offset);
  state_.pages += node->file.pages() - before;
  node->changed = step.number();
  return step.Done(static_cast<ssize_t>(data.size()));
}

int SimDisk::Fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
  Step step(*this, DiskOp::kAllocate, PathOf(fd), offset, length);
  if (step.err() != 0) return step.Done(step.err());
  Node* node = NodeOf(fd, /*to_write=*/true);
  if (node == nullptr) return step.Done(-EBADF);
  if (length == 0) return step.Done(-EINVAL);
  const uint64_t before = node->file.pages();
  if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    node->file.Punch(offset, length);
  } else if (mode == 0 || mode == FALLOC_FL_KEEP_SIZE) {
    if (state_.pages + node->file.PagesMissing(offset, length) > state_.options.capacity_bytes / kPageSize)
      return step.Done(-ENOSPC);
    node->file.Allocate(offset, length, mode == FALLOC_FL_KEEP_SIZE);
  } else {
    return step.Done(-EOPNOTSUPP);
  }
  state_.pages += node->file.pages() - before;
  node->changed = step.number();
  return step.Done(0);
}

int SimDisk::Truncate(int fd, uint64_t size) {
  Step step(*this, DiskOp::kTruncate, PathOf(fd), size);
  if (step.err() != 0) return step.Done(step.err());
  Node* node = NodeOf(fd, /*to_write=*/true);
  if (node == nullptr) return step.Done(-EBADF);
  state_.pages -= node->file.pages();
  node->file.Truncate(size);
  state_.pages += node->file.pages();
  node->changed = step.number();
  return step.Done(0);
}

int SimDisk::Sync(int fd) {
  Step step(*this, DiskOp::kSync, PathOf(fd));
  const auto it = state_.handles.find(fd);
  if (it == state_.handles.end()) return step.Done(-EBADF);
  const FileId id = it->second.id;
  const auto node = state_.nodes.find(id);
  if (step.err() != 0) {
    const bool off = step.number() >= state_.options.faults.off_from;
    if (node != state_.nodes.end() && !off) {
      state_.pages -= node->second.file.pages();
      node->second.file.FailSync(state_.faults_lot);
      state_.pages += node->second.file.pages();
    }
    return step.Done(step.err());
  }
  if (node != state_.nodes.end()) {
    node->second.file.Sync();
    if (state_.options.sync_covers_names) state_.names.SyncNamesOf(id);
  } else {
    state_.names.Sync(id);
    CollectUnused();
  }
  return step.Done(0);
}

int SimDisk::SyncDir(const std::string& path) {
  Step step(*this, DiskOp::kSyncDir, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Find(path, &at); err != 0) return step.Done(err);
  if (!state_.names.IsDirectory(at.id)) return step.Done(-ENOTDIR);
  state_.names.Sync(at.id);
  CollectUnused();
  return step.Done(0);
}

int SimDisk::SyncAll() {
  Step step(*this, DiskOp::kSyncAll, "/");
  if (step.err() != 0) return step.Done(step.err());
  state_.names.SyncAll();
  for (auto& [id, node] : state_.nodes) node.file.Sync();
  CollectUnused();
  return step.Done(0);
}

int SimDisk::Unlink(const std::string& path) {
  Step step(*this, DiskOp::kUnlink, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Find(path, &at); err != 0) return step.Done(err);
  if (state_.names.IsDirectory(at.id)) return step.Done(-EISDIR);
  state_.names.Remove(at.dir, at.name);
  Unlinked(at.id);
  return step.Done(0);
}

int SimDisk::Rename(const std::string& from, const std::string& to) {
  Step step(*this, DiskOp::kRename, from + " " + to);
  if (step.err() != 0) return step.Done(step.err());
  Place at, onto;
  if (const int err = Find(from, &at); err != 0) return step.Done(err);
  if (const int err = Lookup(to, &onto); err != 0) return step.Done(err);
  if (onto.dir == 0 || at.dir == 0) return step.Done(-EBUSY);
  const FileId id = at.id, old = onto.id;
  if (id == old) return step.Done(0);
  const bool moves_dir = state_.names.IsDirectory(id);
  if (old != 0) {
    if (!moves_dir && state_.names.IsDirectory(old)) return step.Done(-EISDIR);
    if (moves_dir && !state_.names.IsDirectory(old)) return step.Done(-ENOTDIR);
    if (moves_dir && !state_.names.List(old).empty()) return step.Done(-ENOTEMPTY);
  }
  state_.names.Move(at.dir, at.name, onto.dir, onto.name);
  if (old != 0) Unlinked(old);
  return step.Done(0);
}

int SimDisk::Link(const std::string& from, const std::string& to) {
  Step step(*this, DiskOp::kLink, from + " " + to);
  if (step.err() != 0) return step.Done(step.err());
  Place at, onto;
  if (const int err = Find(from, &at); err != 0) return step.Done(err);
  if (state_.names.IsDirectory(at.id)) return step.Done(-EPERM);
  if (const int err = Lookup(to, &onto); err != 0) return step.Done(err);
  if (onto.id != 0) return step.Done(-EEXIST);
  state_.names.Add(onto.dir, onto.name, at.id);
  ++state_.nodes[at.id].links;
  return step.Done(0);
}

int SimDisk::Mkdir(const std::string& path) {
  Step step(*this, DiskOp::kMkdir, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Lookup(path, &at); err != 0) return step.Done(err);
  if (at.id != 0) return step.Done(-EEXIST);
  at.id = state_.next_id++;
  state_.names.AddDirectory(at.id);
  state_.names.Add(at.dir, at.name, at.id);
  return step.Done(0);
}

int SimDisk::Rmdir(const std::string& path) {
  Step step(*this, DiskOp::kRmdir, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Find(path, &at); err != 0) return step.Done(err);
  if (!state_.names.IsDirectory(at.id)) return step.Done(-ENOTDIR);
  if (at.dir == 0) return step.Done(-EBUSY);
  if (!state_.names.List(at.id).empty()) return step.Done(-ENOTEMPTY);
  state_.names.Remove(at.dir, at.name);
  return step.Done(0);
}

void SimDisk::StatOf(FileId id, struct stat* st) const {
  *st = {};
  st->st_dev = 1;
  st->st_ino = id;
  st->st_blksize = kPageSize;
  const auto it = state_.nodes.find(id);
  if (it == state_.nodes.end()) {
    st->st_mode = S_IFDIR | 0700;
    st->st_nlink = 2;
    return;
  }
  st->st_mode = S_IFREG | 0600;
  st->st_nlink = it->second.links;
  st->st_size = static_cast<off_t>(it->second.file.size());
  st->st_blocks = static_cast<blkcnt_t>(it->second.file.pages() * (kPageSize / 512));
  st->st_mtime = static_cast<time_t>(it->second.changed);
}

int SimDisk::Fstat(int fd, struct stat* st) {
  Step step(*this, DiskOp::kLook, PathOf(fd));
  if (step.err() != 0) return step.Done(step.err());
  const auto it = state_.handles.find(fd);
  if (it == state_.handles.end()) return step.Done(-EBADF);
  StatOf(it->second.id, st);
  return step.Done(0);
}

int SimDisk::Stat(const std::string& path, struct stat* st) {
  Step step(*this, DiskOp::kLook, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Find(path, &at); err != 0) return step.Done(err);
  StatOf(at.id, st);
  return step.Done(0);
}

int SimDisk::Statvfs(struct statvfs* st) {
  Step step(*this, DiskOp::kLook, "/");
  if (step.err() != 0) return step.Done(step.err());
  *st = {};
  st->f_bsize = st->f_frsize = kPageSize;
  st->f_blocks = state_.options.capacity_bytes / kPageSize;
  st->f_bfree = st->f_bavail = st->f_blocks - state_.pages;
  return step.Done(0);
}

int SimDisk::List(const std::string& path, std::vector<std::string>* names) {
  Step step(*this, DiskOp::kLook, path);
  if (step.err() != 0) return step.Done(step.err());
  Place at;
  if (const int err = Find(path, &at); err != 0) return step.Done(err);
  if (!state_.names.IsDirectory(at.id)) return step.Done(-ENOTDIR);
  names->clear();
  for (const auto& [entry, child] : state_.names.List(at.id)) names->push_back(entry);
  return step.Done(0);
}

int SimDisk::Lock(int fd) {
  Step step(*this, DiskOp::kLook, PathOf(fd));
  if (step.err() != 0) return step.Done(step.err());
  Node* node = NodeOf(fd, /*to_write=*/false);
  if (node == nullptr) return step.Done(-EBADF);
  if (node->locked_by >= 0 && node->locked_by != fd) return step.Done(-EWOULDBLOCK);
  node->locked_by = fd;
  return step.Done(0);
}

}  // namespace kfs::sim

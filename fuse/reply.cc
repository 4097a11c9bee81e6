// Replies in the kernel's own structures: libfuse 3.14 has no words for some of the open flags, and `struct
// stat` none for the inode's own block size.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>

#include "common/far_time.h"
#include "common/inode_flags.h"
#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

// What programs take as the best size of a read or write: without a page cache every small one is a round
// trip.
constexpr uint32_t kPreferredIo = 128u << 10;

void SplitTime(TimeNs t, uint64_t beyond, uint64_t* s, uint32_t* ns) {
  const timespec split = ToTimespec({t, beyond});
  *s = static_cast<uint64_t>(split.tv_sec);
  *ns = static_cast<uint32_t>(split.tv_nsec);
}

fuse_attr ToWire(const Attr& a) {
  fuse_attr out = {};
  out.ino = a.ino.v;
  out.size = a.size;
  out.blocks = a.allocated / 512;
  SplitTime(a.atime, a.atime_beyond, &out.atime, &out.atimensec);
  SplitTime(a.mtime, a.mtime_beyond, &out.mtime, &out.mtimensec);
  SplitTime(a.ctime, 0, &out.ctime, &out.ctimensec);
  out.mode = a.mode;
  out.nlink = a.nlink;
  out.uid = a.uid;
  out.gid = a.gid;
  out.rdev = static_cast<uint32_t>(a.rdev);
  out.blksize = kPreferredIo;
  return out;
}

void SplitTimeout(Duration valid_for, uint64_t* s, uint32_t* ns) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(valid_for);
  *s = static_cast<uint64_t>(whole.count());
  *ns = static_cast<uint32_t>(std::chrono::nanoseconds(valid_for - whole).count());
}

fuse_entry_out EntryOut(const Entry& entry) {
  fuse_entry_out out = {};
  out.nodeid = entry.attr.ino.v;
  out.generation = GenerationOf(entry.attr);
  SplitTimeout(entry.valid_for, &out.entry_valid, &out.entry_valid_nsec);
  SplitTimeout(entry.valid_for, &out.attr_valid, &out.attr_valid_nsec);
  out.attr = ToWire(entry.attr);
  return out;
}

}  // namespace

uint64_t GenerationOf(const Attr& attr) {
  if (attr.ino == kRootIno) return 0;
  const auto born = static_cast<uint64_t>(attr.btime);
  return static_cast<uint32_t>(born ^ born >> 32);
}

namespace {

template <typename T>
int ReplyBytes(fuse_req_t req, const T& out) {
  return fuse_reply_buf(req, reinterpret_cast<const char*>(&out), sizeof out);
}

}  // namespace

void ReplyStatus(fuse_req_t req, const Status& status) {
  int err = status.err();
  // The kernel takes ENOSYS as "never ask again", and numbers from 512 on are its own.
  if (err == ENOSYS) err = EOPNOTSUPP;
  if (err >= 512) err = EIO;
  fuse_reply_err(req, err);
}

int ReplyEntry(fuse_req_t req, FileSystem& fs, const Entry& entry) {
  fs.nodes().Looked(entry.attr);
  const int rc = ReplyBytes(req, EntryOut(entry));
  if (rc != 0) fs.nodes().Unlooked(entry.attr.ino);
  return rc;
}

int ReplyAttr(fuse_req_t req, const Entry& entry) {
  fuse_attr_out out = {};
  SplitTimeout(entry.valid_for, &out.attr_valid, &out.attr_valid_nsec);
  out.attr = ToWire(entry.attr);
  return ReplyBytes(req, out);
}

int ReplyStatx(fuse_req_t req, const Entry& entry) {
  const Attr& a = entry.attr;
  const auto time = [](TimeNs ns, uint64_t beyond) {
    const timespec t = ToTimespec({ns, beyond});
    return StatxTime{t.tv_sec, static_cast<uint32_t>(t.tv_nsec), 0};
  };
  const auto rdev = static_cast<uint32_t>(a.rdev);  // as the kernel encodes it, in ToWire too
  StatxOut out = {};
  SplitTimeout(entry.valid_for, &out.attr_valid, &out.attr_valid_nsec);
  out.mask = STATX_BASIC_STATS | STATX_BTIME;
  out.blksize = kPreferredIo;
  out.attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
  static_assert(STATX_ATTR_IMMUTABLE == kFlagImmutable && STATX_ATTR_APPEND == kFlagAppendOnly &&
                STATX_ATTR_NODUMP == kFlagNoDump);
  out.attributes = a.flags & out.attributes_mask;
  out.nlink = a.nlink;
  out.uid = a.uid;
  out.gid = a.gid;
  out.mode = static_cast<uint16_t>(a.mode);
  out.ino = a.ino.v;
  out.size = a.size;
  out.blocks = a.allocated / 512;
  out.atime = time(a.atime, a.atime_beyond);
  out.btime = time(a.btime, 0);
  out.ctime = time(a.ctime, 0);
  out.mtime = time(a.mtime, a.mtime_beyond);
  out.rdev_major = (rdev & 0xfff00) >> 8;
  out.rdev_minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  return ReplyBytes(req, out);
}

int ReplyOpen(fuse_req_t req, uint64_t fh, uint32_t open_flags) {
  fuse_open_out out = {};
  out.fh = fh;
  out.open_flags = open_flags;
  return ReplyBytes(req, out);
}

int ReplyCreate(fuse_req_t req, FileSystem& fs, const Entry& entry, uint64_t fh, uint32_t open_flags) {
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out = {};
  static_assert(sizeof out == sizeof(fuse_entry_out) + sizeof(fuse_open_out));
  out.entry = EntryOut(entry);
  out.open.fh = fh;
  out.open.open_flags = open_flags;
  fs.nodes().Looked(entry.attr);
  const int rc = ReplyBytes(req, out);
  if (rc != 0) fs.nodes().Unlooked(entry.attr.ino);
  return rc;
}

void FillStat(const Attr& a, struct stat* st) {
  *st = {};
  st->st_ino = a.ino.v;
  st->st_size = static_cast<off_t>(a.size);
  st->st_blocks = static_cast<blkcnt_t>(a.allocated / 512);
  st->st_atim = ToTimespec({a.atime, a.atime_beyond});
  st->st_mtim = ToTimespec({a.mtime, a.mtime_beyond});
  st->st_ctim = ToTimespec({a.ctime, 0});
  st->st_mode = a.mode;
  st->st_nlink = a.nlink;
  st->st_uid = a.uid;
  st->st_gid = a.gid;
  st->st_rdev = a.rdev;
  st->st_blksize = kPreferredIo;
}

Caller CallerOf(fuse_req_t req) {
  const fuse_ctx* ctx = fuse_req_ctx(req);
  Caller caller;
  caller.uid = ctx->uid;
  caller.gid = ctx->gid;
  caller.pid = static_cast<uint32_t>(ctx->pid);
  caller.umask = ctx->umask;
  caller.groups_known = false;
  return caller;
}

Caller ReaderOf(fuse_req_t req, bool directory, int open_flags) {
  Caller caller = CallerOf(req);
  const MountFlags flags = FileSystem::Of(req).mount_flags();
  if (flags.read_only || flags.noatime || (directory && flags.nodiratime) || (open_flags & O_NOATIME) != 0) {
    caller.atime = AtimeRule::kNever;
  } else if (flags.strictatime) {
    caller.atime = AtimeRule::kAlways;
  }
  return caller;
}

}  // namespace kfs::fuse

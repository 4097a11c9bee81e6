// Inodes: getattr, setattr, access, readlink, statfs, ioctl.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "common/limits.h"
#include "fuse/file_system.h"
#include "proto/meta.pb.h"

namespace kfs::fuse {
namespace {

// The server has forgotten it, the kernel has not: described as it was last seen, without links.
bool AnswerGone(fuse_req_t req, FileSystem& fs, Ino ino, const Status& status) {
  if (status.err() != ESTALE) return false;
  fs.nodes().Gone(ino);
  const auto last = fs.nodes().Last(ino);
  if (!last) return false;
  ReplyAttr(req, *last);
  return true;
}

void GetAttr(fuse_req_t req, fuse_ino_t ino, fuse_file_info*) {
  Run<Result<Attr>>(
      req,
      [ino](KfsClient& c, const Caller& caller, auto done) {
        return c.GetAttr(caller, Ino(ino), std::move(done));
      },
      [ino](fuse_req_t r, FileSystem& fs, Result<Attr> result) {
        if (result.ok()) {
          fs.nodes().Update(*result);
          ReplyAttr(r, *result);
        } else if (!AnswerGone(r, fs, Ino(ino), result.status())) {
          ReplyStatus(r, result.status());
        }
      });
}

// Times are 64-bit nanoseconds, 1677 to 2262; what lies beyond is cut off there, as every file system does at
// its own limits.
TimeNs FromTimespec(const timespec& t) {
  constexpr int64_t kSecondsMax = INT64_MAX / 1000000000 - 1;
  if (t.tv_sec > kSecondsMax) return kSecondsMax * 1000000000 + 999999999;
  if (t.tv_sec < -kSecondsMax) return -kSecondsMax * 1000000000;
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

kfs::SetAttr ToSetAttr(const struct stat& st, int to_set, bool open_file) {
  using pb::SetattrRequest;
  kfs::SetAttr out;
  const auto take = [&](int bit, SetattrRequest::Valid valid) {
    if ((to_set & bit) != 0) out.valid |= valid;
  };
  take(FUSE_SET_ATTR_MODE, SetattrRequest::MODE);
  take(FUSE_SET_ATTR_UID, SetattrRequest::UID);
  take(FUSE_SET_ATTR_GID, SetattrRequest::GID);
  take(FUSE_SET_ATTR_SIZE, SetattrRequest::SIZE);
  take(FUSE_SET_ATTR_ATIME, SetattrRequest::ATIME);
  take(FUSE_SET_ATTR_MTIME, SetattrRequest::MTIME);
  take(FUSE_SET_ATTR_ATIME_NOW, SetattrRequest::ATIME_NOW);
  take(FUSE_SET_ATTR_MTIME_NOW, SetattrRequest::MTIME_NOW);
  // ftruncate: the descriptor was opened for writing, whatever the mode says now.
  if (open_file && (to_set & FUSE_SET_ATTR_SIZE) != 0) out.valid |= SetattrRequest::OPEN_FILE;
  out.mode = st.st_mode;
  out.uid = st.st_uid;
  out.gid = st.st_gid;
  out.size = static_cast<uint64_t>(st.st_size);
  out.atime = FromTimespec(st.st_atim);
  out.mtime = FromTimespec(st.st_mtim);
  return out;
}

void SetAttr(fuse_req_t req, fuse_ino_t ino, struct stat* st, int to_set, fuse_file_info* fi) {
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0 && RefuseLost(req, fi)) return;
  const kfs::SetAttr set = ToSetAttr(*st, to_set, fi != nullptr);
  Run<Result<Attr>>(
      req,
      [ino, set](KfsClient& c, const Caller& caller, auto done) {
        return c.SetAttr(caller, Ino(ino), set, std::move(done));
      },
      [](fuse_req_t r, FileSystem& fs, Result<Attr> result) {
        if (!result.ok()) return ReplyStatus(r, result.status());
        fs.nodes().Update(*result);
        ReplyAttr(r, *result);
      });
}

// Permission bits alone, for an inode that only we remember.
Status AccessGone(const Attr& attr, const fuse_ctx& ctx, uint32_t mask) {
  if (ctx.uid == 0) return {};
  uint32_t bits = attr.mode & 7;
  if (ctx.uid == attr.uid)
    bits = attr.mode >> 6 & 7;
  else if (ctx.gid == attr.gid)
    bits = attr.mode >> 3 & 7;
  if ((mask & ~bits & 7) == 0) return {};
  return Status(EACCES, "removed inode");
}

void Access(fuse_req_t req, fuse_ino_t ino, int mask) {
  Run<Status>(
      req,
      [ino, mask](KfsClient& c, const Caller& caller, auto done) {
        return c.Access(caller, Ino(ino), static_cast<uint32_t>(mask), std::move(done));
      },
      [ino, mask](fuse_req_t r, FileSystem& fs, Status status) {
        if (status.err() == ESTALE) {
          if (const auto last = fs.nodes().Last(Ino(ino))) {
            status = AccessGone(*last, *fuse_req_ctx(r), static_cast<uint32_t>(mask));
          }
        }
        ReplyStatus(r, status);
      });
}

void ReadLink(fuse_req_t req, fuse_ino_t ino) {
  RunAs<Result<std::string>>(
      req, ReaderOf(req, false),
      [ino](KfsClient& c, const Caller& caller, auto done) {
        return c.ReadLink(caller, Ino(ino), std::move(done));
      },
      [](fuse_req_t r, FileSystem&, Result<std::string> target) {
        if (!target.ok()) return ReplyStatus(r, target.status());
        fuse_reply_readlink(r, target->c_str());
      });
}

void StatFs(fuse_req_t req, fuse_ino_t) {
  Run<Result<FsStats>>(
      req, [](KfsClient& c, const Caller& caller, auto done) { return c.StatFs(caller, std::move(done)); },
      [](fuse_req_t r, FileSystem&, Result<FsStats> stats) {
        if (!stats.ok()) return ReplyStatus(r, stats.status());
        struct statvfs st = {};
        st.f_bsize = st.f_frsize = kBlockSize;
        st.f_blocks = stats->capacity / kBlockSize;
        st.f_bfree = stats->free / kBlockSize;
        st.f_bavail = stats->available / kBlockSize;
        // Inodes have no limit of their own; programs that check for free ones see as many as a 32-bit df can
        // show.
        st.f_ffree = st.f_favail = INT32_MAX;
        st.f_files = stats->files + INT32_MAX;
        st.f_namemax = kNameMax;
        fuse_reply_statfs(r, &st);
      });
}

void Ioctl(fuse_req_t req, fuse_ino_t, unsigned int, void*, fuse_file_info*, unsigned, const void*, size_t,
           size_t) {
  fuse_reply_err(req, ENOTTY);
}

}  // namespace

void AddInodeOps(fuse_lowlevel_ops& ops) {
  ops.getattr = GetAttr;
  ops.setattr = SetAttr;
  ops.access = Access;
  ops.readlink = ReadLink;
  ops.statfs = StatFs;
  ops.ioctl = Ioctl;
}

}  // namespace kfs::fuse

// Inodes: getattr (and statx), setattr, access, readlink, statfs.
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/far_time.h"
#include "common/limits.h"
#include "fuse/file_system.h"
#include "proto/meta.pb.h"

namespace kfs::fuse {
namespace {

// The server has forgotten it, the kernel has not: described as it was last seen, without links.
bool AnswerGone(fuse_req_t req, FileSystem& fs, Ino ino, const Status& status, decltype(&ReplyAttr) reply) {
  if (status.err() != ESTALE) return false;
  fs.nodes().Gone(ino);
  const auto last = fs.nodes().Last(ino);
  if (!last) return false;
  reply(req, {.attr = *last, .valid_for = {}});
  return true;
}

void GetAttr(fuse_req_t req, fuse_ino_t ino, fuse_file_info*) {
  const auto reply = FileSystem::Of(req).message().shown_for == kStatx ? ReplyStatx : ReplyAttr;
  Run<Result<Entry>>(
      req,
      [ino](KfsClient& c, const Caller& caller, auto done) {
        return c.GetAttr(caller, Ino(ino), std::move(done));
      },
      [ino, reply](fuse_req_t r, FileSystem& fs, Result<Entry> result) {
        if (result.ok()) {
          fs.nodes().Update(result->attr);
          reply(r, *result);
        } else if (!AnswerGone(r, fs, Ino(ino), result.status(), reply)) {
          ReplyStatus(r, result.status());
        }
      });
}

// `kill`: FATTR_KILL_SUIDGID, which libfuse does not hand on.
kfs::SetAttr ToSetAttr(const struct stat& st, int to_set, FileHandlePtr handle, bool kill) {
  using pb::SetattrRequest;
  kfs::SetAttr out;
  out.handle = std::move(handle);
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
  // Set for each change of an owner, too, which the server knows what to do with.
  if (kill && (to_set & FUSE_SET_ATTR_SIZE) != 0) out.valid |= SetattrRequest::KILL_PRIV;
  // The kernel sends nothing to set when a file is about to be changed, by an operation that does not say it
  // itself (fallocate, copy_file_range), for a caller who may not keep setuid and setgid; and for chown(-1,
  // -1).
  if (out.valid == 0) out.valid = SetattrRequest::KILL_PRIV;
  out.mode = st.st_mode;
  out.uid = st.st_uid;
  out.gid = st.st_gid;
  out.size = static_cast<uint64_t>(st.st_size);
  const FarTime atime = FarTimeOf(st.st_atim), mtime = FarTimeOf(st.st_mtim);
  out.atime = atime.ns;
  out.atime_beyond = atime.beyond;
  out.mtime = mtime.ns;
  out.mtime_beyond = mtime.beyond;
  return out;
}

void SetAttr(fuse_req_t req, fuse_ino_t ino, struct stat* st, int to_set, fuse_file_info* fi) {
  fuse_setattr_in in;
  std::memcpy(&in, FileSystem::Of(req).message().body(), sizeof in);
  const kfs::SetAttr set = ToSetAttr(*st, to_set, HandleOf(fi), (in.valid & FATTR_KILL_SUIDGID) != 0);
  Run<Result<Entry>>(
      req,
      [ino, set](KfsClient& c, const Caller& caller, auto done) {
        return c.SetAttr(caller, Ino(ino), set, std::move(done));
      },
      [](fuse_req_t r, FileSystem& fs, Result<Entry> result) {
        if (!result.ok()) return ReplyStatus(r, result.status());
        fs.nodes().Update(result->attr);
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

}  // namespace

void AddInodeOps(fuse_lowlevel_ops& ops) {
  ops.getattr = GetAttr;
  ops.setattr = SetAttr;
  ops.access = Access;
  ops.readlink = ReadLink;
  ops.statfs = StatFs;
}

}  // namespace kfs::fuse

// The flags of chattr(1) and lsattr(1), which reach us as ioctls: FS_IOC_GETFLAGS and SETFLAGS, and their
// younger form FS_IOC_FSGETXATTR and FSSETXATTR. The kernel opens the inode for each and has checked that the
// caller owns it and, for immutable and append-only, has CAP_LINUX_IMMUTABLE; the server checks again and is
// who enforces them.
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "common/inode_flags.h"
#include "fuse/file_system.h"
#include "proto/meta.pb.h"

namespace kfs::fuse {
namespace {

static_assert(kFlagImmutable == FS_IMMUTABLE_FL && kFlagAppendOnly == FS_APPEND_FL &&
              kFlagNoDump == FS_NODUMP_FL && kFlagNoAtime == FS_NOATIME_FL);

struct Pair {
  uint32_t flag, xflag;
};
constexpr Pair kPairs[] = {{kFlagImmutable, FS_XFLAG_IMMUTABLE},
                           {kFlagAppendOnly, FS_XFLAG_APPEND},
                           {kFlagNoDump, FS_XFLAG_NODUMP},
                           {kFlagNoAtime, FS_XFLAG_NOATIME}};

uint32_t ToXflags(uint32_t flags) {
  uint32_t out = 0;
  for (const Pair& p : kPairs) out |= (flags & p.flag) != 0 ? p.xflag : 0;
  return out;
}

// None: something that is not kept here.
std::optional<uint32_t> FromXattr(const fsxattr& x) {
  uint32_t flags = 0, left = x.fsx_xflags & ~uint32_t{FS_XFLAG_HASATTR};
  for (const Pair& p : kPairs) {
    if ((left & p.xflag) != 0) flags |= p.flag;
    left &= ~p.xflag;
  }
  if (left != 0 || x.fsx_extsize != 0 || x.fsx_projid != 0 || x.fsx_cowextsize != 0) return std::nullopt;
  return flags;
}

void Get(fuse_req_t req, fuse_ino_t ino, bool extended, size_t out_size) {
  Run<Result<Entry>>(
      req,
      [ino](KfsClient& c, const Caller& caller, auto done) {
        return c.GetAttr(caller, Ino(ino), std::move(done));
      },
      [extended, out_size](fuse_req_t r, FileSystem&, Result<Entry> entry) {
        if (!entry.ok()) return ReplyStatus(r, entry.status());
        // The kernel asks for 4 bytes of flags, programs for as many as a long has.
        char out[std::max(sizeof(fsxattr), sizeof(long))] = {};
        if (extended) {
          fsxattr x = {};
          x.fsx_xflags = ToXflags(entry->attr.flags);
          std::memcpy(out, &x, sizeof x);
        } else {
          std::memcpy(out, &entry->attr.flags, sizeof entry->attr.flags);
        }
        fuse_reply_ioctl(r, 0, out, std::min(out_size, extended ? sizeof(fsxattr) : sizeof(long)));
      });
}

void Set(fuse_req_t req, fuse_ino_t ino, uint32_t flags) {
  kfs::SetAttr set;
  set.valid = pb::SetattrRequest::FLAGS;
  set.flags = flags;
  Run<Result<Entry>>(
      req,
      [ino, set](KfsClient& c, const Caller& caller, auto done) {
        return c.SetAttr(caller, Ino(ino), set, std::move(done));
      },
      [](fuse_req_t r, FileSystem& fs, Result<Entry> entry) {
        if (!entry.ok()) return ReplyStatus(r, entry.status());
        fs.nodes().Update(entry->attr);
        fuse_reply_ioctl(r, 0, nullptr, 0);
      });
}

template <typename T>
std::optional<T> Argument(const void* in, size_t size) {
  T out;
  if (in == nullptr || size < sizeof out) return std::nullopt;
  std::memcpy(&out, in, sizeof out);
  return out;
}

void Ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void*, fuse_file_info*, unsigned,
           const void* in, size_t in_size, size_t out_size) {
  switch (command) {
    case FS_IOC_GETFLAGS:
      if (out_size < sizeof(uint32_t)) break;
      return Get(req, ino, /*extended=*/false, out_size);
    case FS_IOC_FSGETXATTR:
      if (out_size < sizeof(fsxattr)) break;
      return Get(req, ino, /*extended=*/true, out_size);
    case FS_IOC_SETFLAGS:
      if (const auto flags = Argument<uint32_t>(in, in_size)) return Set(req, ino, *flags);
      break;
    case FS_IOC_FSSETXATTR:
      if (const auto x = Argument<fsxattr>(in, in_size)) {
        if (const auto flags = FromXattr(*x)) return Set(req, ino, *flags);
        fuse_reply_err(req, EOPNOTSUPP);
        return;
      }
      break;
    default:
      fuse_reply_err(req, ENOTTY);
      return;
  }
  fuse_reply_err(req, EINVAL);
}

}  // namespace

void AddFlagOps(fuse_lowlevel_ops& ops) { ops.ioctl = Ioctl; }

}  // namespace kfs::fuse

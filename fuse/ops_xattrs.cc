// Extended attributes. Values travel whole; the sizes that a program asks with are settled here.
#include <cerrno>

#include "fuse/file_system.h"
#include "fuse/mount.h"

namespace kfs::fuse {
namespace {

void ReplySized(fuse_req_t req, const std::string& value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(req, value.size());
  } else if (value.size() > size) {
    fuse_reply_err(req, ERANGE);
  } else {
    fuse_reply_buf(req, value.data(), value.size());
  }
}

void GetXattr(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size) {
  if (ino == FUSE_ROOT_ID && std::string_view(name) == kMountXattr) {
    return ReplySized(req, FileSystem::Of(req).options().served_options, size);
  }
  Run<Result<std::string>>(
      req,
      [ino, name = std::string(name)](KfsClient& c, const Caller& caller, auto done) {
        return c.GetXattr(caller, Ino(ino), name, std::move(done));
      },
      [size](fuse_req_t r, FileSystem&, Result<std::string> value) {
        if (!value.ok()) return ReplyStatus(r, value.status());
        ReplySized(r, *value, size);
      });
}

void ListXattr(fuse_req_t req, fuse_ino_t ino, size_t size) {
  Run<Result<std::vector<std::string>>>(
      req,
      [ino](KfsClient& c, const Caller& caller, auto done) {
        return c.ListXattr(caller, Ino(ino), std::move(done));
      },
      [size](fuse_req_t r, FileSystem&, Result<std::vector<std::string>> names) {
        if (!names.ok()) return ReplyStatus(r, names.status());
        std::string list;
        for (const std::string& name : *names) list.append(name).push_back('\0');
        ReplySized(r, list, size);
      });
}

void SetXattr(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size, int flags) {
  RunStatus(req, [ino, name = std::string(name), value = std::string(value, size), flags](
                     KfsClient& c, const Caller& caller, auto done) {
    return c.SetXattr(caller, Ino(ino), name, value, static_cast<uint32_t>(flags), std::move(done));
  });
}

void RemoveXattr(fuse_req_t req, fuse_ino_t ino, const char* name) {
  RunStatus(req, [ino, name = std::string(name)](KfsClient& c, const Caller& caller, auto done) {
    return c.RemoveXattr(caller, Ino(ino), name, std::move(done));
  });
}

}  // namespace

void AddXattrOps(fuse_lowlevel_ops& ops) {
  ops.getxattr = GetXattr;
  ops.listxattr = ListXattr;
  ops.setxattr = SetXattr;
  ops.removexattr = RemoveXattr;
}

}  // namespace kfs::fuse

// Names: lookup, mknod, mkdir, symlink, link, unlink, rmdir, rename.
#include <cerrno>

#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  // The kernel has just checked, with attributes that it just got, that the directory may be searched.
  // Refused here all the same, a name would be taken for gone, and with it what is mounted below it.
  Caller caller = CallerOf(req);
  caller.kernel_checked = true;
  RunAs<Result<Entry>>(
      req, std::move(caller),
      [parent, name = std::string(name)](KfsClient& c, const Caller& who, auto done) {
        return c.Lookup(who, Ino(parent), name, std::move(done));
      },
      ReplyEntryIn(Ino(parent)));
}

void Mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  RunEntry(req, Ino(parent),
           [parent, name = std::string(name), mode, rdev](KfsClient& c, const Caller& caller, auto done) {
             return c.MkNod(caller, Ino(parent), name, mode, rdev, std::move(done));
           });
}

void Mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  RunEntry(req, Ino(parent),
           [parent, name = std::string(name), mode](KfsClient& c, const Caller& caller, auto done) {
             return c.Mkdir(caller, Ino(parent), name, mode, std::move(done));
           });
}

void Symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  RunEntry(req, Ino(parent),
           [parent, name = std::string(name), target = std::string(target)](KfsClient& c,
                                                                            const Caller& caller, auto done) {
             return c.Symlink(caller, Ino(parent), name, target, std::move(done));
           });
}

void Link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  // Either of the two may be gone, so ESTALE stays: the kernel looks both up again.
  RunEntry(req, Ino(),
           [ino, parent, name = std::string(name)](KfsClient& c, const Caller& caller, auto done) {
             return c.Link(caller, Ino(ino), Ino(parent), name, std::move(done));
           });
}

// What a removal or replacement took away is remembered: the kernel may go on holding it.
auto RemovedFrom(fuse_ino_t parent) {
  return [parent](fuse_req_t req, FileSystem& fs, Result<KfsClient::Removed> removed) {
    if (!removed.ok()) return ReplyStatus(req, fs.InRemovedDir(Ino(parent), removed.status()));
    if (removed->ino) fs.nodes().Removed(removed->ino, removed->nlink);
    fuse_reply_err(req, 0);
  };
}

void Unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Run<Result<KfsClient::Removed>>(
      req,
      [parent, name = std::string(name)](KfsClient& c, const Caller& caller, auto done) {
        return c.Unlink(caller, Ino(parent), name, std::move(done));
      },
      RemovedFrom(parent), false, Effect::kNames);
}

void Rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Run<Result<KfsClient::Removed>>(
      req,
      [parent, name = std::string(name)](KfsClient& c, const Caller& caller, auto done) {
        return c.Rmdir(caller, Ino(parent), name, std::move(done));
      },
      RemovedFrom(parent), false, Effect::kNames);
}

void Rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
            unsigned int flags) {
  Run<Result<KfsClient::Removed>>(
      req,
      [parent, name = std::string(name), new_parent, new_name = std::string(new_name), flags](
          KfsClient& c, const Caller& caller, auto done) {
        return c.Rename(caller, Ino(parent), name, Ino(new_parent), new_name, flags, std::move(done));
      },
      RemovedFrom(new_parent), false, Effect::kNames);
}

// No forget: it comes apart from the requests (Transport).
}  // namespace

void AddNameOps(fuse_lowlevel_ops& ops) {
  ops.lookup = Lookup;
  ops.mknod = Mknod;
  ops.mkdir = Mkdir;
  ops.symlink = Symlink;
  ops.link = Link;
  ops.unlink = Unlink;
  ops.rmdir = Rmdir;
  ops.rename = Rename;
}

}  // namespace kfs::fuse

// Open files: open, create (and O_TMPFILE), flush, release.
#include <linux/fuse.h>

#include <cerrno>
#include <cstring>

#include "common/log.h"
#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

// Until leases nothing may be read from the kernel's page cache that another mount may have changed: every
// read and write comes here (DIRECT_IO). Writes to one file need not wait for each other: the servers order
// them.
constexpr uint32_t kOpenFlags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;

// What libfuse does not hand on: whether O_TRUNC takes setuid and setgid from a file.
template <typename T>
T ArgumentsOf(fuse_req_t req) {
  T in;
  std::memcpy(&in, FileSystem::Of(req).message().body(), sizeof in);
  return in;
}

uint64_t ToFh(FileHandlePtr* handle) { return reinterpret_cast<uint64_t>(handle); }

// The kernel did not take the descriptor (its caller died): nothing else will release it.
void DropOpen(FileSystem& fs, FileHandlePtr* handle) {
  fs.client().Release(*handle, false, 0, [](Status) {});
  delete handle;
}

void Open(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  const auto in = ArgumentsOf<fuse_open_in>(req);
  Run<Result<KfsClient::Opened>>(
      req,
      [ino, flags = static_cast<uint32_t>(fi->flags), in](KfsClient& c, Caller caller, auto done) {
        caller.kill_ids = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
        return c.Open(caller, Ino(ino), flags, std::move(done));
      },
      [](fuse_req_t r, FileSystem& fs, Result<KfsClient::Opened> opened) {
        if (!opened.ok()) return ReplyStatus(r, opened.status());
        fs.nodes().Update(opened->entry.attr);
        auto* handle = new FileHandlePtr(std::move(opened->handle));
        if (ReplyOpen(r, ToFh(handle), kOpenFlags) != 0) DropOpen(fs, handle);
      });
}

void Create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* fi) {
  const bool tmpfile = name == kTmpfileName;
  const auto in = ArgumentsOf<fuse_create_in>(req);
  Run<Result<KfsClient::Opened>>(
      req,
      [parent, name = std::string(name), mode, tmpfile, flags = static_cast<uint32_t>(fi->flags), in](
          KfsClient& c, Caller caller, auto done) {
        caller.kill_ids = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
        if (tmpfile) return c.TmpFile(caller, Ino(parent), mode, flags, std::move(done));
        return c.Create(caller, Ino(parent), name, mode, flags, std::move(done));
      },
      [parent](fuse_req_t r, FileSystem& fs, Result<KfsClient::Opened> opened) {
        if (!opened.ok()) return ReplyStatus(r, fs.InRemovedDir(Ino(parent), opened.status()));
        auto* handle = new FileHandlePtr(std::move(opened->handle));
        if (ReplyCreate(r, fs, opened->entry, ToFh(handle), kOpenFlags) != 0) DropOpen(fs, handle);
      },
      false, Effect::kOpens);
}

// Each close of a descriptor: record locks of that process on the inode end. Data is never behind, as every
// write was answered by the servers.
void Flush(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  RunStatus(req, [handle = HandleOf(fi), owner = fi->lock_owner](KfsClient& c, const Caller&, auto done) {
    return c.Flush(handle, owner, std::move(done));
  });
}

void Release(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  const FileHandlePtr handle = HandleOf(fi);
  delete reinterpret_cast<FileHandlePtr*>(fi->fh);
  // On the same connection, in order: whoever waits for the flock is served after it.
  FileSystem::Of(req).client().Release(handle, fi->flock_release != 0, fi->lock_owner, [ino](Status status) {
    if (!status.ok() && status.err() != ECANCELED) {
      KFS_LOG(warn, "fuse.release_failed ino={} error=\"{}\"", ino, status.ToString());
    }
  });
  fuse_reply_err(req, 0);  // nobody waits for it
}

}  // namespace

void AddFileOps(fuse_lowlevel_ops& ops) {
  ops.open = Open;
  ops.create = Create;
  ops.flush = Flush;
  ops.release = Release;
}

}  // namespace kfs::fuse

// Open files: open, create (and O_TMPFILE), flush, release.
#include <linux/fuse.h>

#include <cerrno>

#include "common/log.h"
#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

// Until leases nothing may be read from the kernel's page cache that another mount may have changed: every
// read and write comes here (DIRECT_IO). Writes to one file need not wait for each other: the servers order
// them.
constexpr uint32_t kOpenFlags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;

// The kernel did not take the descriptor (its caller died): nothing else will release it.
void DropOpen(FileSystem& fs, OpenFile* file) {
  fs.client().Release(file->ino, false, 0, [](Status) {});
  delete file;
}

void Open(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  Run<Result<Attr>>(
      req,
      [ino, flags = static_cast<uint32_t>(fi->flags)](KfsClient& c, const Caller& caller, auto done) {
        return c.Open(caller, Ino(ino), flags, std::move(done));
      },
      [ino](fuse_req_t r, FileSystem& fs, Result<Attr> attr) {
        if (!attr.ok()) return ReplyStatus(r, attr.status());
        fs.nodes().Update(*attr);
        auto* file = new OpenFile{Ino(ino), {}, fs.client().HandleEpoch()};
        if (ReplyOpen(r, reinterpret_cast<uint64_t>(file), kOpenFlags) != 0) DropOpen(fs, file);
      });
}

void Create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* fi) {
  const bool tmpfile = name == kTmpfileName;
  Run<Result<Attr>>(
      req,
      [parent, name = std::string(name), mode, tmpfile, flags = static_cast<uint32_t>(fi->flags)](
          KfsClient& c, const Caller& caller, auto done) {
        if (tmpfile) return c.TmpFile(caller, Ino(parent), mode, flags, std::move(done));
        return c.Create(caller, Ino(parent), name, mode, flags, std::move(done));
      },
      [parent](fuse_req_t r, FileSystem& fs, Result<Attr> attr) {
        if (!attr.ok()) return ReplyStatus(r, fs.InRemovedDir(Ino(parent), attr.status()));
        auto* file = new OpenFile{attr->ino, {}, fs.client().HandleEpoch()};
        if (ReplyCreate(r, fs, *attr, reinterpret_cast<uint64_t>(file), kOpenFlags) != 0) DropOpen(fs, file);
      },
      false, Effect::kOpens);
}

// Each close of a descriptor: record locks of that process on the inode end. Data is never behind, as every
// write was answered by the servers, so without locks there is nothing to tell them.
void Flush(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  if (OpenFile* file = FileOf(fi)) std::erase(file->lock_owners, fi->lock_owner);
  if (!FileSystem::Of(req).record_lock_owners().Drop(Ino(ino), fi->lock_owner)) {
    fuse_reply_err(req, 0);
    return;
  }
  RunStatus(req, [ino, owner = fi->lock_owner](KfsClient& c, const Caller&, auto done) {
    return c.Flush(Ino(ino), owner, std::move(done));
  });
}

void Release(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  FileSystem& fs = FileSystem::Of(req);
  bool lost = false;
  if (OpenFile* file = FileOf(fi)) {
    lost = fs.client().HandleLost(file->ino, file->epoch);
    for (uint64_t owner : file->lock_owners) {
      if (fs.record_lock_owners().Drop(Ino(ino), owner)) fs.client().Flush(Ino(ino), owner, [](Status) {});
    }
    delete file;
  }
  if (lost) {
    fs.client().ReleaseLost(Ino(ino));
    fuse_reply_err(req, 0);
    return;
  }
  // On the same connection, in order: whoever waits for the flock is served after it.
  fs.client().Release(Ino(ino), fi->flock_release != 0, fi->lock_owner, [ino](Status status) {
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

// Locks: record locks (fcntl, also open-file-description ones) and flock.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

FileLock FromFlock(const struct flock& in, uint64_t owner) {
  FileLock lock;
  lock.owner = owner;
  lock.type = in.l_type == F_RDLCK   ? FileLock::kRead
              : in.l_type == F_WRLCK ? FileLock::kWrite
                                     : FileLock::kUnlock;
  lock.start = static_cast<uint64_t>(in.l_start);
  lock.end = in.l_len == 0 ? UINT64_MAX : lock.start + static_cast<uint64_t>(in.l_len) - 1;
  lock.pid = static_cast<uint32_t>(in.l_pid);
  return lock;
}

struct flock ToFlock(const FileLock& lock) {
  struct flock out = {};
  out.l_type = lock.type == FileLock::kRead ? F_RDLCK : lock.type == FileLock::kWrite ? F_WRLCK : F_UNLCK;
  out.l_whence = SEEK_SET;
  out.l_start = static_cast<off_t>(lock.start);
  out.l_len = lock.end >= INT64_MAX ? 0 : static_cast<off_t>(lock.end - lock.start + 1);
  out.l_pid = static_cast<pid_t>(lock.pid);
  return out;
}

void GetLk(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, struct flock* flock) {
  Run<Result<FileLock>>(
      req,
      [handle = HandleOf(fi), lock = FromFlock(*flock, fi->lock_owner)](
          KfsClient& c, const Caller&, auto done) { return c.GetLock(handle, lock, std::move(done)); },
      [](fuse_req_t r, FileSystem&, Result<FileLock> found) {
        if (!found.ok()) return ReplyStatus(r, found.status());
        const struct flock out = ToFlock(*found);
        fuse_reply_lock(r, &out);
      });
}

void SetLk(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, struct flock* flock, int sleep) {
  const FileLock lock = FromFlock(*flock, fi->lock_owner);
  const bool wait = sleep != 0 && lock.type != FileLock::kUnlock;
  RunStatus(
      req,
      [handle = HandleOf(fi), lock, wait](KfsClient& c, const Caller&, auto done) {
        return c.SetLock(handle, lock, wait, std::move(done));
      },
      wait);
}

void Flock(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, int op) {
  FileLock lock;
  lock.flock = true;
  lock.owner = fi->lock_owner;
  lock.pid = static_cast<uint32_t>(fuse_req_ctx(req)->pid);
  switch (op & ~LOCK_NB) {
    case LOCK_SH:
      lock.type = FileLock::kRead;
      break;
    case LOCK_EX:
      lock.type = FileLock::kWrite;
      break;
    case LOCK_UN:
      lock.type = FileLock::kUnlock;
      break;
    default:
      fuse_reply_err(req, EINVAL);
      return;
  }
  const bool wait = (op & LOCK_NB) == 0 && lock.type != FileLock::kUnlock;
  RunStatus(
      req,
      [handle = HandleOf(fi), lock, wait](KfsClient& c, const Caller&, auto done) {
        return c.SetLock(handle, lock, wait, std::move(done));
      },
      wait);
}

}  // namespace

void AddLockOps(fuse_lowlevel_ops& ops) {
  ops.getlk = GetLk;
  ops.setlk = SetLk;
  ops.flock = Flock;
}

}  // namespace kfs::fuse

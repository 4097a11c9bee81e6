#include "fuse/file_system.h"

#include "common/log.h"

namespace kfs::fuse {
namespace {

// Why each capability is taken or left: docs/fuse.md, "INIT".
void Init(void* userdata, fuse_conn_info* conn) {
  auto& fs = *static_cast<FileSystem*>(userdata);
  uint32_t want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
                  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK |
                  FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_AUTO_INVAL_DATA |
                  FUSE_CAP_IOCTL_DIR | FUSE_CAP_POSIX_ACL;
  if (fs.options().readdirplus) want |= FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO;
  conn->want = want & conn->capable;
  conn->max_write = 1u << 20;
  conn->max_readahead = 1u << 20;
  conn->time_gran = 1;
  // RELEASE counts as background; a flock held elsewhere waits for it, so the bound is generous.
  conn->max_background = 256;
  conn->congestion_threshold = 192;
}

fuse_lowlevel_ops MakeOps() {
  fuse_lowlevel_ops ops = {};
  ops.init = Init;
  AddNameOps(ops);
  AddInodeOps(ops);
  AddFlagOps(ops);
  AddFileOps(ops);
  AddDataOps(ops);
  AddDirOps(ops);
  AddXattrOps(ops);
  AddLockOps(ops);
  return ops;
}

}  // namespace

FileSystem::FileSystem(EventLoop& loop, KfsClient& client, Options options)
    : client_(client),
      options_(options),
      calls_(
          loop, [this](CallId id) { client_.Cancel(id); },
          [this](uint32_t pid, Duration since) {
            return callers_.Sees(pid) ? KillPending(pid) : since >= kUnseenPatience;
          }) {}

const fuse_lowlevel_ops& FileSystem::Ops() {
  static const fuse_lowlevel_ops ops = MakeOps();
  return ops;
}

void FileSystem::Complete(Ino ino, Caller* caller) const {
  const std::optional<Attr> last = nodes_.Last(ino);
  callers_.Complete(caller, last ? std::optional(last->uid) : std::nullopt);
}

Status FileSystem::InRemovedDir(Ino dir, Status status) {
  if (status.err() != ESTALE || !nodes_.Holds(dir)) return status;
  nodes_.Gone(dir);
  return Status(ENOENT, status.message());
}

}  // namespace kfs::fuse

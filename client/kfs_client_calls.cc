// Each inode-level call: parameters into a request, the op on its way, the reply into a result.
#include "client/convert.h"
#include "client/data_ops.h"
#include "client/kfs_client_impl.h"
#include "client/lock_ops.h"
#include "client/meta_op.h"
#include "rpc/metrics.h"

namespace kfs {
namespace {

const auto kEntryOfReply = [](auto& op) { return EntryFromPb(op.reply.attr()); };
const auto kOpened = [](auto& op) { return KfsClient::Opened{op.handle, EntryFromPb(op.reply.attr())}; };

template <typename Request>
void SetName(Request& request, Ino parent, std::string_view name) {
  request.set_parent(parent.v);
  request.set_name(name.data(), name.size());
}

}  // namespace

std::string KfsClient::MetricsText() const {
  MetricsPage page;
  ShowMetrics(page);
  return page.Text();
}

CallId KfsClientImpl::Lookup(const Caller& caller, Ino parent, std::string_view name, Done<Entry> done) {
  if (LocalAnswers* local = Local()) {
    if (auto known = local->Lookup(caller, parent, name)) return done(std::move(*known)), 0;
  }
  pb::LookupRequest request;
  SetName(request, parent, name);
  return Submit<Entry>(std::make_shared<MetaOp<rpc::Lookup>>(caller, std::move(request)), std::move(done),
                       kEntryOfReply);
}

CallId KfsClientImpl::GetAttr(const Caller& caller, Ino ino, Done<Entry> done) {
  if (LocalAnswers* local = Local()) {
    if (auto known = local->GetAttr(caller, ino)) return done(std::move(*known)), 0;
  }
  pb::GetattrRequest request;
  request.set_ino(ino.v);
  return Submit<Entry>(std::make_shared<MetaOp<rpc::Getattr>>(caller, std::move(request)), std::move(done),
                       kEntryOfReply);
}

CallId KfsClientImpl::SetAttr(const Caller& caller, Ino ino, const kfs::SetAttr& set, Done<Entry> done) {
  pb::SetattrRequest request;
  request.set_ino(ino.v);
  request.set_valid(set.valid);
  request.set_mode(set.mode);
  request.set_uid(set.uid);
  request.set_gid(set.gid);
  request.set_size(set.size);
  request.set_atime(set.atime);
  request.set_mtime(set.mtime);
  request.set_atime_beyond(set.atime_beyond);
  request.set_mtime_beyond(set.mtime_beyond);
  request.set_flags(set.flags);
  FileHandlePtr handle;
  if ((set.valid & pb::SetattrRequest::SIZE) != 0 && set.handle != nullptr) {
    request.set_valid(set.valid | pb::SetattrRequest::OPEN_FILE);
    handle = set.handle;
  }
  return Submit<Entry>(std::make_shared<SetattrOp>(caller, std::move(request), std::move(handle)),
                       std::move(done), kEntryOfReply);
}

CallId KfsClientImpl::Access(const Caller& caller, Ino ino, uint32_t mask, DoneStatus done) {
  pb::AccessRequest request;
  request.set_ino(ino.v);
  request.set_mask(mask);
  return SubmitStatus(std::make_shared<MetaOp<rpc::Access>>(caller, std::move(request)), std::move(done));
}

CallId KfsClientImpl::ReadLink(const Caller& caller, Ino ino, Done<std::string> done) {
  pb::ReadlinkRequest request;
  request.set_ino(ino.v);
  return Submit<std::string>(std::make_shared<MetaOp<rpc::Readlink>>(caller, std::move(request)),
                             std::move(done),
                             [](MetaOp<rpc::Readlink>& op) { return std::move(*op.reply.mutable_target()); });
}

CallId KfsClientImpl::MkNod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                            uint64_t rdev, Done<Entry> done) {
  pb::MknodRequest request;
  SetName(request, parent, name);
  request.set_mode(mode);
  request.set_rdev(rdev);
  return Submit<Entry>(std::make_shared<MknodOp>(caller, std::move(request)), std::move(done), kEntryOfReply);
}

CallId KfsClientImpl::Mkdir(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                            Done<Entry> done) {
  pb::MkdirRequest request;
  SetName(request, parent, name);
  request.set_mode(mode);
  return Submit<Entry>(std::make_shared<MkdirOp>(caller, std::move(request)), std::move(done), kEntryOfReply);
}

CallId KfsClientImpl::Symlink(const Caller& caller, Ino parent, std::string_view name,
                              std::string_view target, Done<Entry> done) {
  pb::SymlinkRequest request;
  SetName(request, parent, name);
  request.set_target(target.data(), target.size());
  return Submit<Entry>(std::make_shared<SymlinkOp>(caller, std::move(request)), std::move(done),
                       kEntryOfReply);
}

CallId KfsClientImpl::Link(const Caller& caller, Ino ino, Ino parent, std::string_view name,
                           Done<Entry> done) {
  pb::LinkRequest request;
  request.set_ino(ino.v);
  SetName(request, parent, name);
  return Submit<Entry>(std::make_shared<MetaOp<rpc::Link>>(caller, std::move(request)), std::move(done),
                       kEntryOfReply);
}

CallId KfsClientImpl::Unlink(const Caller& caller, Ino parent, std::string_view name, Done<Removed> done) {
  pb::UnlinkRequest request;
  SetName(request, parent, name);
  return Submit<Removed>(std::make_shared<MetaOp<rpc::Unlink>>(caller, std::move(request)), std::move(done),
                         [](MetaOp<rpc::Unlink>& op) {
                           return Removed{Ino(op.reply.ino()), op.reply.nlink()};
                         });
}

CallId KfsClientImpl::Rmdir(const Caller& caller, Ino parent, std::string_view name, Done<Removed> done) {
  pb::RmdirRequest request;
  SetName(request, parent, name);
  return Submit<Removed>(std::make_shared<MetaOp<rpc::Rmdir>>(caller, std::move(request)), std::move(done),
                         [](MetaOp<rpc::Rmdir>& op) {
                           return Removed{Ino(op.reply.ino()), op.reply.nlink()};
                         });
}

CallId KfsClientImpl::Rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                             std::string_view new_name, uint32_t flags, Done<Removed> done) {
  pb::RenameRequest request;
  SetName(request, parent, name);
  request.set_new_parent(new_parent.v);
  request.set_new_name(new_name.data(), new_name.size());
  request.set_flags(flags);
  return Submit<Removed>(std::make_shared<MetaOp<rpc::Rename>>(caller, std::move(request)), std::move(done),
                         [](MetaOp<rpc::Rename>& op) {
                           return Removed{Ino(op.reply.replaced_ino()), op.reply.replaced_nlink()};
                         });
}

CallId KfsClientImpl::ReadDir(const Caller& caller, Ino ino, DirRange range, uint32_t max_bytes, bool plus,
                              Done<DirPage> done) {
  pb::ReaddirRequest request;
  request.set_ino(ino.v);
  request.set_cookie(range.cookie);
  request.set_last(range.last);
  request.set_max_bytes(max_bytes);
  request.set_plus(plus);
  return Submit<DirPage>(std::make_shared<MetaOp<rpc::Readdir>>(caller, std::move(request)), std::move(done),
                         [](MetaOp<rpc::Readdir>& op) { return DirPageFromPb(op.reply); });
}

CallId KfsClientImpl::StatFs(const Caller& caller, Done<FsStats> done) {
  return Submit<FsStats>(
      std::make_shared<MetaOp<rpc::Statfs>>(caller, pb::StatfsRequest()), std::move(done),
      [](MetaOp<rpc::Statfs>& op) {
        return FsStats{op.reply.capacity(), op.reply.free(), op.reply.available(), op.reply.files()};
      });
}

CallId KfsClientImpl::GetXattr(const Caller& caller, Ino ino, std::string_view name, Done<std::string> done) {
  pb::GetxattrRequest request;
  request.set_ino(ino.v);
  request.set_name(name.data(), name.size());
  return Submit<std::string>(std::make_shared<MetaOp<rpc::Getxattr>>(caller, std::move(request)),
                             std::move(done),
                             [](MetaOp<rpc::Getxattr>& op) { return std::move(*op.reply.mutable_value()); });
}

CallId KfsClientImpl::SetXattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value,
                               uint32_t flags, DoneStatus done) {
  pb::SetxattrRequest request;
  request.set_ino(ino.v);
  request.set_name(name.data(), name.size());
  request.set_value(value.data(), value.size());
  request.set_flags(flags);
  return SubmitStatus(std::make_shared<MetaOp<rpc::Setxattr>>(caller, std::move(request)), std::move(done));
}

CallId KfsClientImpl::ListXattr(const Caller& caller, Ino ino, Done<std::vector<std::string>> done) {
  pb::ListxattrRequest request;
  request.set_ino(ino.v);
  return Submit<std::vector<std::string>>(
      std::make_shared<MetaOp<rpc::Listxattr>>(caller, std::move(request)), std::move(done),
      [](MetaOp<rpc::Listxattr>& op) {
        return std::vector<std::string>(op.reply.name().begin(), op.reply.name().end());
      });
}

CallId KfsClientImpl::RemoveXattr(const Caller& caller, Ino ino, std::string_view name, DoneStatus done) {
  pb::RemovexattrRequest request;
  request.set_ino(ino.v);
  request.set_name(name.data(), name.size());
  return SubmitStatus(std::make_shared<MetaOp<rpc::Removexattr>>(caller, std::move(request)),
                      std::move(done));
}

CallId KfsClientImpl::KillCapabilities(const Caller& caller, Ino ino, DoneStatus done) {
  pb::RemovexattrRequest request;
  request.set_ino(ino.v);
  request.set_name("security.capability");
  request.set_kill_priv(true);
  return SubmitStatus(std::make_shared<MetaOp<rpc::Removexattr>>(caller, std::move(request)),
                      std::move(done));
}

CallId KfsClientImpl::Open(const Caller& caller, Ino ino, uint32_t flags, Done<Opened> done) {
  pb::OpenRequest request;
  request.set_ino(ino.v);
  request.set_flags(flags);
  request.set_kill_priv(caller.kill_ids);
  return Submit<Opened>(std::make_shared<OpenOp>(caller, std::move(request)), std::move(done), kOpened);
}

CallId KfsClientImpl::Create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                             uint32_t flags, Done<Opened> done) {
  pb::CreateRequest request;
  SetName(request, parent, name);
  request.set_mode(mode);
  request.set_flags(flags);
  request.set_kill_priv(caller.kill_ids);
  return Submit<Opened>(std::make_shared<CreateOp>(caller, std::move(request)), std::move(done), kOpened);
}

CallId KfsClientImpl::TmpFile(const Caller& caller, Ino parent, uint32_t mode, uint32_t flags,
                              Done<Opened> done) {
  pb::TmpfileRequest request;
  request.set_parent(parent.v);
  request.set_mode(mode);
  request.set_flags(flags);
  return Submit<Opened>(std::make_shared<TmpfileOp>(caller, std::move(request)), std::move(done), kOpened);
}

CallId KfsClientImpl::OpenDir(const Caller& caller, Ino ino, uint32_t flags, Done<FileHandlePtr> done) {
  return Submit<FileHandlePtr>(std::make_shared<OpenDirOp>(caller, ino, flags), std::move(done),
                               [](OpenDirOp& op) { return op.handle; });
}

CallId KfsClientImpl::Release(const FileHandlePtr& handle, bool unlock_flock, uint64_t flock_owner,
                              DoneStatus done) {
  pb::ReleaseRequest request;
  request.set_ino(handle->ino().v);
  request.set_unlock_flock(unlock_flock);
  request.set_flock_owner(flock_owner);
  return SubmitStatus(std::make_shared<ReleaseOp>(Caller{}, std::move(request), handle), std::move(done));
}

CallId KfsClientImpl::Read(const Caller& caller, const FileHandlePtr& handle, uint64_t offset, uint32_t size,
                           ReadFlags flags, Done<Buffer> done) {
  return Submit<Buffer>(std::make_shared<ReadOp>(caller, handle, offset, size, flags), std::move(done),
                        [](ReadOp& op) { return std::move(op.result); });
}

CallId KfsClientImpl::Write(const Caller& caller, const FileHandlePtr& handle, uint64_t offset, Buffer data,
                            WriteFlags flags, Done<uint32_t> done) {
  return Submit<uint32_t>(std::make_shared<WriteOp>(caller, handle, offset, std::move(data), flags),
                          std::move(done), [](WriteOp& op) { return static_cast<uint32_t>(op.data.size()); });
}

CallId KfsClientImpl::Fsync(const FileHandlePtr& handle, bool, DoneStatus done) {
  // data_only saves nothing: the size is metadata that the data needs.
  return SubmitStatus(std::make_shared<FsyncOp>(handle), std::move(done));
}

CallId KfsClientImpl::Fsync(Ino ino, DoneStatus done) {
  return SubmitStatus(std::make_shared<FsyncOp>(ino), std::move(done));
}

CallId KfsClientImpl::Fallocate(const Caller& caller, const FileHandlePtr& handle, uint32_t mode,
                                uint64_t offset, uint64_t length, DoneStatus done) {
  pb::FallocateRequest request;
  request.set_ino(handle->ino().v);
  request.set_mode(mode);
  request.set_offset(offset);
  request.set_length(length);
  return SubmitStatus(std::make_shared<FallocateOp>(caller, std::move(request), handle), std::move(done));
}

CallId KfsClientImpl::Seek(const FileHandlePtr& handle, uint64_t offset, int whence, Done<uint64_t> done) {
  return Submit<uint64_t>(std::make_shared<SeekOp>(handle, offset, whence), std::move(done),
                          [](SeekOp& op) { return op.result; });
}

CallId KfsClientImpl::CopyRange(const Caller& caller, const FileHandlePtr& from, uint64_t from_offset,
                                const FileHandlePtr& to, uint64_t to_offset, uint64_t length,
                                Done<uint64_t> done) {
  return Submit<uint64_t>(std::make_shared<CopyOp>(caller, from, from_offset, to, to_offset, length),
                          std::move(done), [](CopyOp& op) { return op.copied; });
}

CallId KfsClientImpl::GetLock(const FileHandlePtr& handle, const FileLock& lock, Done<FileLock> done) {
  pb::GetLockRequest request;
  LockToPb(handle->ino(), lock, request.mutable_lock());
  return Submit<FileLock>(std::make_shared<GetLockOp>(Caller{}, std::move(request), handle), std::move(done),
                          [](GetLockOp& op) { return LockFromPb(op.reply.lock()); });
}

CallId KfsClientImpl::SetLock(const FileHandlePtr& handle, const FileLock& lock, bool wait, DoneStatus done) {
  pb::SetLockRequest request;
  LockToPb(handle->ino(), lock, request.mutable_lock());
  request.set_wait(wait);
  return SubmitStatus(std::make_shared<SetLockOp>(Caller{}, std::move(request), handle), std::move(done));
}

CallId KfsClientImpl::Flush(const FileHandlePtr& handle, uint64_t lock_owner, DoneStatus done) {
  // Most descriptors are closed by somebody who has no locks.
  if (worker_->loop().InLoopThread() && !worker_->lock_owners().Has(handle->ino(), lock_owner))
    return done(Status()), 0;
  pb::FlushRequest request;
  request.set_ino(handle->ino().v);
  request.set_owner(lock_owner);
  return SubmitStatus(std::make_shared<FlushOp>(Caller{}, std::move(request), handle), std::move(done));
}

}  // namespace kfs

// KfsClient over a ProtocolWorker: each call becomes one KfsOp and one Request. Any thread, as the interface
// says.
#pragma once

#include <atomic>
#include <cassert>
#include <memory>
#include <string>
#include <utility>

#include "client/kfs_client.h"
#include "client/local_answers.h"
#include "client/protocol_worker.h"
#include "client/request.h"

namespace kfs {

class KfsClientImpl final : public KfsClient {
 public:
  explicit KfsClientImpl(std::shared_ptr<ProtocolWorker> worker);
  ~KfsClientImpl() override;

  Status Shutdown() override;
  void Shutdown(DoneStatus done) override;
  uint64_t chunk_size() const override { return chunk_size_; }
  uint32_t volume_id() const override { return volume_id_; }
  void OnDrainReleases(std::function<void(std::function<void()>)> fn) override;

  CallId Lookup(const Caller&, Ino parent, std::string_view name, Done<Entry> done) override;
  CallId GetAttr(const Caller&, Ino, Done<Entry> done) override;
  CallId SetAttr(const Caller&, Ino, const kfs::SetAttr&, Done<Entry> done) override;
  CallId Access(const Caller&, Ino, uint32_t mask, DoneStatus done) override;
  CallId ReadLink(const Caller&, Ino, Done<std::string> done) override;
  CallId MkNod(const Caller&, Ino parent, std::string_view name, uint32_t mode, uint64_t rdev,
               Done<Entry> done) override;
  CallId Mkdir(const Caller&, Ino parent, std::string_view name, uint32_t mode, Done<Entry> done) override;
  CallId Symlink(const Caller&, Ino parent, std::string_view name, std::string_view target,
                 Done<Entry> done) override;
  CallId Link(const Caller&, Ino, Ino parent, std::string_view name, Done<Entry> done) override;
  CallId Unlink(const Caller&, Ino parent, std::string_view name, Done<Removed> done) override;
  CallId Rmdir(const Caller&, Ino parent, std::string_view name, Done<Removed> done) override;
  CallId Rename(const Caller&, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags, Done<Removed> done) override;
  CallId ReadDir(const Caller&, Ino, DirRange range, uint32_t max_bytes, bool plus,
                 Done<DirPage> done) override;
  CallId StatFs(const Caller&, Done<FsStats> done) override;
  CallId GetXattr(const Caller&, Ino, std::string_view name, Done<std::string> done) override;
  CallId SetXattr(const Caller&, Ino, std::string_view name, std::string_view value, uint32_t flags,
                  DoneStatus done) override;
  CallId ListXattr(const Caller&, Ino, Done<std::vector<std::string>> done) override;
  CallId RemoveXattr(const Caller&, Ino, std::string_view name, DoneStatus done) override;
  CallId KillCapabilities(const Caller&, Ino, DoneStatus done) override;
  CallId Open(const Caller&, Ino, uint32_t flags, Done<Opened> done) override;
  CallId Create(const Caller&, Ino parent, std::string_view name, uint32_t mode, uint32_t flags,
                Done<Opened> done) override;
  CallId TmpFile(const Caller&, Ino parent, uint32_t mode, uint32_t flags, Done<Opened> done) override;
  CallId OpenDir(const Caller&, Ino, uint32_t flags, Done<FileHandlePtr> done) override;
  CallId Release(const FileHandlePtr&, bool unlock_flock, uint64_t flock_owner, DoneStatus done) override;
  using KfsClient::Read;
  CallId Read(const Caller&, const FileHandlePtr&, uint64_t offset, uint32_t size, ReadFlags flags,
              Done<Buffer> done) override;
  CallId Write(const Caller&, const FileHandlePtr&, uint64_t offset, Buffer data, WriteFlags flags,
               Done<uint32_t> done) override;
  CallId Fsync(const FileHandlePtr&, bool data_only, DoneStatus done) override;
  CallId Fsync(Ino, DoneStatus done) override;
  CallId Fallocate(const Caller&, const FileHandlePtr&, uint32_t mode, uint64_t offset, uint64_t length,
                   DoneStatus done) override;
  CallId Seek(const FileHandlePtr&, uint64_t offset, int whence, Done<uint64_t> done) override;
  CallId CopyRange(const Caller&, const FileHandlePtr& from, uint64_t from_offset, const FileHandlePtr& to,
                   uint64_t to_offset, uint64_t length, Done<uint64_t> done) override;
  CallId GetLock(const FileHandlePtr&, const FileLock&, Done<FileLock> done) override;
  CallId SetLock(const FileHandlePtr&, const FileLock&, bool wait, DoneStatus done) override;
  CallId Flush(const FileHandlePtr&, uint64_t lock_owner, DoneStatus done) override;
  void Cancel(CallId) override;

  Result<kfs::Attr> Stat(const Caller&, std::string_view path) override;
  Result<kfs::Attr> Mkdir(const Caller&, std::string_view path, uint32_t mode) override;
  Status Remove(const Caller&, std::string_view path) override;
  Status Rename(const Caller&, std::string_view from, std::string_view to) override;
  Result<std::vector<DirEntry>> List(const Caller&, std::string_view path) override;
  Result<std::string> ReadFile(const Caller&, std::string_view path) override;
  Status WriteFile(const Caller&, std::string_view path, std::string_view data, uint32_t mode) override;

  Stats stats() const override { return worker_->stats(); }
  void ShowMetrics(MetricsPage& page) const override { worker_->ShowMetrics(page); }
  Status Connection() const override { return worker_->Connection(); }

  // Asked before each call that it may answer; null: nobody is. Worker's thread; it outlives the client's
  // calls.
  void AnswerFrom(LocalAnswers* local) { local_ = local; }

 protected:
  void WaitForRoom() const override;

 private:
  // Null: this call is not to be answered here.
  LocalAnswers* Local() const {
    return worker_->loop().InLoopThread() && worker_->serving() ? local_ : nullptr;
  }
  // Sends the op on its way; `convert(Op&)` makes the result once it is done.
  template <typename T, typename Op, typename Convert>
  CallId Submit(std::shared_ptr<Op> op, Done<T> done, Convert convert);
  template <typename Op>
  CallId SubmitStatus(std::shared_ptr<Op> op, DoneStatus done);
  // The blocking form, for the path calls: a SyncRequest.
  template <typename Op>
  Status Run(const std::shared_ptr<Op>& op);

  // Where a path leads: the directory, the name in it, and what is there (ino 0: nothing).
  struct Place {
    Ino parent = kRootIno;
    std::string name;  // empty: the root itself
    kfs::Attr attr;
  };
  Result<Place> Walk(const Caller&, std::string_view path, bool follow_last);
  Result<Place> WalkToExisting(const Caller&, std::string_view path, bool follow_last);
  void Close(const Caller&, const FileHandlePtr& handle);
  Status WriteAll(const Caller&, const FileHandlePtr& handle, std::string_view data);

  const std::shared_ptr<ProtocolWorker> worker_;
  const uint64_t chunk_size_;
  const uint32_t volume_id_;
  std::atomic<bool> shut_down_{false};
  LocalAnswers* local_ = nullptr;  // worker's thread
};

template <typename T, typename Op, typename Convert>
CallId KfsClientImpl::Submit(std::shared_ptr<Op> op, Done<T> done, Convert convert) {
  return worker_->Execute(std::make_shared<AsyncRequest>(
      std::move(op), [done = std::move(done), convert = std::move(convert)](KfsOp& finished) {
        if (!finished.status().ok()) return done(finished.status());
        done(convert(static_cast<Op&>(finished)));
      }));
}

template <typename Op>
CallId KfsClientImpl::SubmitStatus(std::shared_ptr<Op> op, DoneStatus done) {
  return worker_->Execute(std::make_shared<AsyncRequest>(
      std::move(op), [done = std::move(done)](KfsOp& finished) { done(finished.status()); }));
}

template <typename Op>
Status KfsClientImpl::Run(const std::shared_ptr<Op>& op) {
  assert(!worker_->loop().InLoopThread());
  auto request = std::make_shared<SyncRequest>(op);
  worker_->Execute(request);  // which waits for room
  request->Wait();
  return op->status();
}

}  // namespace kfs

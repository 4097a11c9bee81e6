// Ops that are one request to the metaserver: a template for all of them (MetaOp<rpc::Lookup>). Those that
// leave something behind on either side (opens, locks, layouts) say here what.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "client/kfs_op.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "proto/op_types.h"

namespace kfs {

template <typename Rpc>
class MetaOp : public KfsOp {
 public:
  using Request = typename Rpc::Request;
  using Reply = typename Rpc::Reply;

  MetaOp(Caller caller, Request request) : KfsOp(std::move(caller)), request(std::move(request)) {}
  std::string_view name() const override { return OpName(Rpc::kOp); }

  void Start(ProtocolWorker& worker) override {
    const Ino ino = GivesBack();
    if (ino && worker.writer().settling().HoldBack(ino, [this, self = shared_from_this(), &worker] {
          if (!finished()) return Go(worker);
          if (must_run()) worker.RunAlone(MakeCopy());
        })) {
      return HeldBack();
    }
    Go(worker);
  }

  Request request;
  Reply reply;

 protected:
  // Of which inode it gives something back that others wait for, or takes it: not before writes that were
  // given up there are settled. 0: of none.
  virtual Ino GivesBack() const { return {}; }
  // The same op, to be run in its place: it has ended while it was held back.
  virtual KfsOpPtr MakeCopy() { return nullptr; }
  // It is held back; its caller may wait or not.
  virtual void HeldBack() {}
  void Go(ProtocolWorker& worker) {
    if (!Begin(worker)) return;
    // Kept by value: a subclass may want to look at it when the answer is here.
    RemoteCall::Meta<Rpc>(worker, shared_from_this(), request,
                          [this, self = shared_from_this(), &worker](Status status, Reply& answer) {
                            if (finished()) return Late(worker, status, answer);
                            reply = std::move(answer);
                            Answered(worker, std::move(status));
                          });
  }
  // Just before the call is made. False: the op was finished without it, or will Go later.
  virtual bool Begin(ProtocolWorker&) { return true; }
  virtual void Answered(ProtocolWorker& worker, Status status) {
    if (status.ok()) Succeeded(worker);
    Finish(std::move(status));
  }
  virtual void Succeeded(ProtocolWorker&) {}
  // The op had ended early: this is what became of its call.
  virtual void Late(ProtocolWorker& worker, const Status& status, const Reply& answer) {
    if (status.ok()) LateSuccess(worker, answer);
  }
  // It happened all the same.
  virtual void LateSuccess(ProtocolWorker&, const Reply&) {}
};

// Mknod, Mkdir, Symlink: there is a new inode.
template <typename Rpc>
class MakingOp final : public MetaOp<Rpc> {
 public:
  using MetaOp<Rpc>::MetaOp;

 protected:
  void Succeeded(ProtocolWorker& worker) override {
    worker.session().held().Created(Ino(this->reply.attr().ino()), worker.loop().Now());
  }
};

using MknodOp = MakingOp<rpc::Mknod>;
using MkdirOp = MakingOp<rpc::Mkdir>;
using SymlinkOp = MakingOp<rpc::Symlink>;

inline Status LostHandle() {
  return Status(EIO, Code::kUnknownSession,
                "the file was open when the mount's session was lost: close and open it again");
}

// Through a handle: not once that is lost.
template <typename Rpc>
class HandleOp : public MetaOp<Rpc> {
 public:
  HandleOp(Caller caller, typename Rpc::Request request, FileHandlePtr handle)
      : MetaOp<Rpc>(std::move(caller), std::move(request)), handle(std::move(handle)) {}

  const FileHandlePtr handle;  // null: by the inode alone

 protected:
  bool Begin(ProtocolWorker&) override {
    if (handle == nullptr || !handle->lost()) return true;
    this->Finish(LostHandle());
    return false;
  }
};

// Size changes: what the client knows of the inode's chunks is out of date.
template <typename Rpc>
class ResizingOp final : public HandleOp<Rpc> {
 public:
  using HandleOp<Rpc>::HandleOp;

 protected:
  void Succeeded(ProtocolWorker& worker) override { worker.layouts().Drop(Ino(this->request.ino())); }
};
using SetattrOp = ResizingOp<rpc::Setattr>;
using FallocateOp = ResizingOp<rpc::Fallocate>;

// Gives back an open that nobody holds any more.
inline void ReleaseUnwanted(ProtocolWorker& worker, uint64_t ino) {
  pb::ReleaseRequest request;
  request.set_ino(ino);
  RemoteCall::Meta<rpc::Release>(worker, nullptr, std::move(request), [](Status, pb::Empty&) {});
}

// Open, Create, Tmpfile: the inode is held from the answer on.
template <typename Rpc>
class OpeningOp final : public MetaOp<Rpc> {
 public:
  using MetaOp<Rpc>::MetaOp;

  FileHandlePtr handle;  // once it has succeeded

 protected:
  void Succeeded(ProtocolWorker& worker) override {
    const Ino ino(this->reply.attr().ino());
    HeldState& held = worker.session().held();
    handle = std::make_shared<FileHandle>(ino, this->request.flags(), held.epoch());
    held.Opened(handle, RightsOf(this->request.flags()));
    if (this->reply.has_open()) held.Proven(ino, this->reply.open());
    if constexpr (requires { this->reply.created(); }) {
      if (this->reply.created()) held.Created(ino, worker.loop().Now());
    }
    if ((this->request.flags() & O_TRUNC) != 0) worker.layouts().Drop(ino);
  }
  void LateSuccess(ProtocolWorker& worker, const typename Rpc::Reply& reply) override {
    ReleaseUnwanted(worker, reply.attr().ino());
  }
};
using OpenOp = OpeningOp<rpc::Open>;
using CreateOp = OpeningOp<rpc::Create>;
using TmpfileOp = OpeningOp<rpc::Tmpfile>;

// The server need not hold a directory open: that it may be read is checked once, as open(2) does.
class OpenDirOp final : public MetaOp<rpc::Access> {
 public:
  OpenDirOp(Caller caller, Ino ino, uint32_t flags)
      : MetaOp(std::move(caller), Reading(ino)), ino_(ino), flags_(flags) {}

  FileHandlePtr handle;  // once it has succeeded

 protected:
  void Succeeded(ProtocolWorker& worker) override {
    handle = std::make_shared<FileHandle>(ino_, flags_, worker.session().held().epoch());
  }

 private:
  static pb::AccessRequest Reading(Ino ino) {
    pb::AccessRequest request;
    request.set_ino(ino.v);
    request.set_mask(R_OK);
    return request;
  }
  const Ino ino_;
  const uint32_t flags_;
};

// Its caller, a program that is being killed most likely, does not wait while it is held back.
class ReleaseOp final : public HandleOp<rpc::Release> {
 public:
  using HandleOp::HandleOp;
  bool must_run() const override { return true; }
  void Start(ProtocolWorker& worker) override;

 protected:
  Ino GivesBack() const override { return handle->ino(); }
  KfsOpPtr MakeCopy() override { return std::make_shared<ReleaseOp>(caller, request, handle); }
  void HeldBack() override { Finish(Status()); }
  bool Begin(ProtocolWorker& worker) override {
    HeldState& held = worker.session().held();
    if (request.unlock_flock()) held.DropFlock(handle->ino(), request.flock_owner());
    if (!held.Released(handle)) {
      Finish(Status());
      return false;
    }
    if (held.opens(handle->ino()) == 0) worker.layouts().Drop(handle->ino());
    return true;
  }
};

}  // namespace kfs

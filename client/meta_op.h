// Ops that are one request to the metaserver: a template for all of them, and a name for each. Those that
// leave something behind on either side (opens, locks, layouts) say here what.
#pragma once

#include <fcntl.h>

#include <utility>

#include "client/convert.h"
#include "client/kfs_op.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"

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
          if (must_run()) worker.RunAlone(Again());
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
  // The same op once more, for when it has ended while it was held back.
  virtual KfsOpPtr Again() { return nullptr; }
  // It is held back; its caller may wait or not.
  virtual void HeldBack() {}
  void Go(ProtocolWorker& worker) {
    if (!Begin(worker)) return;
    // Kept by value: a subclass may want to look at it when the answer is here.
    RemoteCall::Meta<Rpc>(worker, shared_from_this(), request,
                          [this, self = shared_from_this(), &worker](Status status, Reply& answer) {
                            if (finished()) {
                              if (status.ok()) LateSuccess(worker, answer);
                              return;
                            }
                            reply = std::move(answer);
                            if (status.ok()) Succeeded(worker);
                            Finish(std::move(status));
                          });
  }
  // Just before the call is made. False: the op was finished without it.
  virtual bool Begin(ProtocolWorker&) { return true; }
  virtual void Succeeded(ProtocolWorker&) {}
  // The op had been cancelled, and then it happened all the same.
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

using LookupOp = MetaOp<rpc::Lookup>;
using GetattrOp = MetaOp<rpc::Getattr>;
using AccessOp = MetaOp<rpc::Access>;
using ReadlinkOp = MetaOp<rpc::Readlink>;
using MknodOp = MakingOp<rpc::Mknod>;
using MkdirOp = MakingOp<rpc::Mkdir>;
using SymlinkOp = MakingOp<rpc::Symlink>;
using LinkOp = MetaOp<rpc::Link>;
using UnlinkOp = MetaOp<rpc::Unlink>;
using RmdirOp = MetaOp<rpc::Rmdir>;
using RenameOp = MetaOp<rpc::Rename>;
using ReaddirOp = MetaOp<rpc::Readdir>;
using StatfsOp = MetaOp<rpc::Statfs>;
using GetxattrOp = MetaOp<rpc::Getxattr>;
using SetxattrOp = MetaOp<rpc::Setxattr>;
using ListxattrOp = MetaOp<rpc::Listxattr>;
using RemovexattrOp = MetaOp<rpc::Removexattr>;

inline Status LostHandle() {
  return Status(EIO, Code::kUnknownSession,
                "the file was open when the mount's session was lost: close and open it again");
}

// Size changes: what the client knows of the inode's chunks is out of date.
template <typename Rpc>
class ResizingOp final : public MetaOp<Rpc> {
 public:
  using MetaOp<Rpc>::MetaOp;

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

 protected:
  void Succeeded(ProtocolWorker& worker) override {
    const Ino ino(this->reply.attr().ino());
    worker.session().held().Opened(ino, RightsOf(this->request.flags()));
    if (this->reply.has_open()) worker.session().held().Proven(ino, this->reply.open());
    if constexpr (requires { this->reply.created(); }) {
      if (this->reply.created())
        worker.session().held().Created(Ino(this->reply.attr().ino()), worker.loop().Now());
    }
    if ((this->request.flags() & O_TRUNC) != 0) worker.layouts().Drop(Ino(this->reply.attr().ino()));
  }
  void LateSuccess(ProtocolWorker& worker, const typename Rpc::Reply& reply) override {
    ReleaseUnwanted(worker, reply.attr().ino());
  }
};
using OpenOp = OpeningOp<rpc::Open>;
using CreateOp = OpeningOp<rpc::Create>;
using TmpfileOp = OpeningOp<rpc::Tmpfile>;

// Its caller, a program that is being killed most likely, does not wait while it is held back.
class ReleaseOp final : public MetaOp<rpc::Release> {
 public:
  using MetaOp::MetaOp;
  bool must_run() const override { return true; }

 protected:
  Ino GivesBack() const override { return Ino(request.ino()); }
  KfsOpPtr Again() override { return std::make_shared<ReleaseOp>(caller, request); }
  void HeldBack() override { Finish(Status()); }
  bool Begin(ProtocolWorker& worker) override {
    const Ino ino(request.ino());
    HeldState& held = worker.session().held();
    if (request.unlock_flock()) held.DropFlock(ino, request.flock_owner());
    if (!held.Released(ino)) {
      Finish(Status());
      return false;
    }
    if (held.opens(ino) == 0) worker.layouts().Drop(ino);
    return true;
  }
};

class FlushOp final : public MetaOp<rpc::Flush> {
 public:
  using MetaOp::MetaOp;
  bool must_run() const override { return true; }

 protected:
  Ino GivesBack() const override { return Ino(request.ino()); }
  KfsOpPtr Again() override { return std::make_shared<FlushOp>(caller, request); }
  void HeldBack() override { Finish(Status()); }
  bool Begin(ProtocolWorker& worker) override {
    worker.session().held().DropPosixLocks(Ino(request.ino()), request.owner());
    return true;
  }
};

class GetLockOp final : public MetaOp<rpc::GetLock> {
 public:
  using MetaOp::MetaOp;

 protected:
  bool Begin(ProtocolWorker& worker) override {
    if (!worker.session().held().IsLost(Ino(request.lock().ino()))) return true;
    Finish(LostHandle());
    return false;
  }
};

class SetLockOp final : public MetaOp<rpc::SetLock> {
 public:
  using MetaOp::MetaOp;
  bool waits_for_others() const override { return request.wait(); }
  bool must_run() const override { return request.lock().type() == pb::LockRange::UNLOCK; }
  void OnCancel(ProtocolWorker& worker) override;

 protected:
  Ino GivesBack() const override { return Ino(request.lock().ino()); }
  KfsOpPtr Again() override { return std::make_shared<SetLockOp>(caller, request); }
  bool Begin(ProtocolWorker& worker) override;
  void Succeeded(ProtocolWorker& worker) override;
  void LateSuccess(ProtocolWorker& worker, const pb::Empty& reply) override;
};

}  // namespace kfs

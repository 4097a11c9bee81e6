#include "metaserver/admin/image_service.h"

#include <fmt/format.h>

#include "metaserver/cluster/configuration.h"
#include "metaserver/members/asking.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

void AnswerWith(const IncomingCallPtr& call, const Status& s, const pb::ImageManifest& manifest) {
  if (!s.ok()) return call->Fail(s);
  pb::ImageGetReply reply;
  *reply.mutable_manifest() = manifest;
  call->Reply(reply);
}

Status BeingCopied(const std::string& volume) {
  return Status(EAGAIN, Code::kTryAgain, fmt::format("volume \"{}\" is being copied", volume));
}

}  // namespace

// What only this one may have, since it was given up and has come back with its disk.
void ImageService::BackupLeft(const IncomingCallPtr& call, const std::string& name) {
  volumes_.HoldLeft(
      name, member_.conf().cluster_id(), BeingCopied(name),
      lifetime_.While([this, call, name](VolumeId id, Result<std::unique_ptr<Db>> held) {
        if (!held.ok()) return call->Fail(held.status());
        pb::ImageManifest about;
        about.set_cluster_id(member_.conf().cluster_id());
        about.set_volume(id.v);
        about.set_volume_name(name);
        rec::VolumeStamp stamp;
        if (const auto stored = (*held)->Get(StampKey()); stored && stamp.ParseFromString(*stored))
          about.set_epoch(stamp.epoch());
        auto db = std::make_shared<std::unique_ptr<Db>>(std::move(*held));
        reader_.Open(db->get(), about, [this, call, id, db](const Status& s, const auto& manifest) {
          volumes_.Unhold(id, std::move(*db));
          AnswerWith(call, s, manifest);
        });
      }));
}

void ImageService::Backup(const IncomingCallPtr& call, const pb::ImageGetRequest::Open& request) {
  if (FindMember(member_.conf(), member_.uuid()) == nullptr) return BackupLeft(call, request.volume());
  Result<const pb::VolumeConf*> v = own_.Find(request.volume());
  if (!v.ok()) return call->Fail(v.status());
  const VolumeId id((*v)->id());
  pb::ImageManifest about;
  about.set_cluster_id(member_.conf().cluster_id());
  about.set_volume(id.v);
  about.set_volume_name(request.volume());
  about.set_epoch((*v)->epoch());
  const auto answer = [call](const Status& s, const pb::ImageManifest& manifest) {
    AnswerWith(call, s, manifest);
  };
  // Whatever was acknowledged is in it.
  if (Db* db = volumes_.OpenDb(id); db != nullptr) return reader_.Open(db, std::move(about), answer);
  if ((*v)->started()) return call->Fail(own_.WhyNotOpen(request.volume()));
  // A stopped one is open for the copy only.
  volumes_.HoldStopped(
      member_.conf(), **v, member_.incarnation(), BeingCopied(request.volume()),
      lifetime_.While([this, call, answer, id, about](Result<std::unique_ptr<Db>> held) {
        if (!held.ok()) return call->Fail(held.status());
        auto db = std::make_shared<std::unique_ptr<Db>>(std::move(*held));
        reader_.Open(db->get(), about, [this, answer, id, db](const Status& s, const auto& manifest) {
          volumes_.Unhold(id, std::move(*db));
          (void)volumes_.Apply(member_.conf(), member_.uuid(), member_.incarnation());  // told by Trouble
          answer(s, manifest);
        });
      }));
}

void ImageService::Move(const IncomingCallPtr& call, const pb::VolumeMoveRequest& request) {
  // Asked again by somebody who has lost the answer: the volume is elsewhere by now.
  if (const auto made = member_.Made(request.ctx().request_id())) return call->Reply(*made);
  Result<const pb::VolumeConf*> v = own_.Find(request.name());
  if (!v.ok()) return call->Fail(v.status());
  mover_.Move(**v, request, [call](const Status& s, const pb::ConfChangeReply& reply) {
    if (!s.ok()) return call->Fail(s);
    call->Reply(reply);
  });
  if (!call->answered()) call->Parked();
}

void ImageService::Restore(const IncomingCallPtr& call, const pb::VolumeRestoreRequest& request) {
  if (const auto made = member_.Made(request.ctx().request_id())) return call->Reply(*made);
  Result<const pb::VolumeConf*> v = own_.Find(request.name());
  if (!v.ok()) return call->Fail(v.status());
  pb::Change change;
  pb::Change::MoveVolume* c = change.mutable_move_volume();
  c->set_name(request.name());
  c->set_owner(member_.uuid());
  c->set_epoch((*v)->epoch());
  c->set_restore(true);
  c->set_transfer(request.ctx().dry_run() ? kDryTransfer : request.transfer());
  if (!request.ctx().dry_run()) {
    const pb::ImageManifest* copy = images_.Find(request.transfer());
    if (copy == nullptr) return call->Fail(Status(ENOENT, "the backup has not been sent here"));
    if (copy->cluster_id() != member_.conf().cluster_id() || copy->volume() != (*v)->id()) {
      return call->Fail(
          Status(EINVAL, fmt::format("the backup is of volume \"{}\" (number {} of cluster {}), and "
                                     "this is number {} of cluster {}",
                                     copy->volume_name(), copy->volume(), copy->cluster_id(), (*v)->id(),
                                     member_.conf().cluster_id())));
    }
  }
  member_.Change(request.ctx(), std::move(change), [call](const Status& s, const pb::ConfChangeReply& reply) {
    if (!s.ok()) return call->Fail(s);
    call->Reply(reply);
  });
}

void ImageService::Register(Server& server) {
  HandleCommand<rpc::VolumeMove>(
      server, [this](IncomingCallPtr call, const pb::VolumeMoveRequest& request) { Move(call, request); });
  server.Handle<rpc::ImagePut>([this](IncomingCallPtr call, const pb::ImagePutRequest& request) {
    images_.Put(request, std::move(call->payload()), [call](const Status& s) {
      if (!s.ok()) return call->Fail(s);
      call->Reply(pb::Empty());
    });
  });
  server.Handle<rpc::ImageGet>([this](IncomingCallPtr call, const pb::ImageGetRequest& request) {
    if (request.has_open()) return Backup(call, request.open());
    if (request.has_close()) {
      reader_.Close(request.close().transfer());
      return call->Reply(pb::ImageGetReply());
    }
    reader_.Read(request.read(), [call](const Status& s, Buffer piece) {
      if (!s.ok()) return call->Fail(s);
      call->Reply(pb::ImageGetReply(), std::move(piece));
    });
  });
  HandleCommand<rpc::VolumeRestore>(
      server,
      [this](IncomingCallPtr call, const pb::VolumeRestoreRequest& request) { Restore(call, request); });
}

}  // namespace kfs::meta

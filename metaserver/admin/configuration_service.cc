#include "metaserver/admin/configuration_service.h"

#include <fmt/format.h>

#include "common/limits.h"
#include "common/uuid.h"
#include "metaserver/admin/configuration_view.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/asking.h"
#include "metaserver/members/cluster_keyring.h"

namespace kfs::meta {
namespace {

constexpr size_t kRequestIdMax = 64;

using Settled = std::function<void(std::function<void()>)>;

// Answers a change when it is over.
Member::ChangeDone Answering(const IncomingCallPtr& call, const Settled& settled = {}) {
  return [call, settled](const Status& s, const pb::ConfChangeReply& reply) {
    if (!s.ok()) return call->Fail(s);
    if (!settled) return call->Reply(reply);
    settled([call, reply] { call->Reply(reply); });
  };
}

bool GoodContext(const IncomingCallPtr& call, const pb::CommandContext& ctx) {
  if (ctx.request_id().size() <= kRequestIdMax) return true;
  call->Fail(Status(EINVAL, Code::kMalformed, "request id too long"));
  return false;
}

// `only`: the volume that the asker's key is for; 0: any.
Status Locate(const Member& member, const std::string& name, uint32_t only, pb::LocateVolumeReply* reply) {
  const pb::ClusterConf& conf = member.conf();
  const pb::VolumeConf* v = FindVolume(conf, name);
  if (v != nullptr && only != 0 && v->id() != only) v = nullptr;
  if (v == nullptr) {
    return member.UnlessOld(Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)",
                                                       name.substr(0, kVolumeNameMax))));
  }
  reply->set_owner(NameOf(conf, v->owner()));
  reply->set_started(v->started());
  reply->set_generation(conf.generation());
  *reply->mutable_option() = v->option();
  reply->add_metaserver(reply->owner());
  for (const pb::MemberConf& m : conf.member()) {
    if (m.uuid() != v->owner()) reply->add_metaserver(m.address());
  }
  return {};
}

}  // namespace

void RegisterConfigurationOps(Server& server, Member& member, PeerOps& peers,
                              const Chunkservers& chunkservers,
                              std::function<void(std::function<void()>)> settled) {
  server.Handle<rpc::LocateVolume>([&member](IncomingCallPtr call, const pb::LocateVolumeRequest& request) {
    pb::LocateVolumeReply reply;
    const uint32_t only = MountRightsOf(*call->connection()).volume;
    if (Status s = Locate(member, request.name(), only, &reply); !s.ok()) return call->Fail(s);
    call->Reply(reply);
  });

  HandleCommand<rpc::ConfChange>(server, [&member, &peers, settled = std::move(settled)](
                                             IncomingCallPtr call, const pb::ConfChangeRequest& request) {
    if (!GoodContext(call, request.ctx())) return;
    switch (request.change().what_case()) {
      case pb::Change::kAddMember:
      case pb::Change::kReadmit:
        return call->Fail(Status(EINVAL, "peers come in by 'kfs peer probe' and 'kfs peer repair'"));
      case pb::Change::kMoveVolume:
        return call->Fail(
            Status(EINVAL, "a volume is moved by 'kfs volume move' and restored by 'kfs volume restore'"));
      case pb::Change::kSetAddress:
        return peers.SetAddress(request, Answering(call));
      case pb::Change::kAddChunkserver:
        if (!IsUuid(request.change().add_chunkserver().uuid())) {
          return call->Fail(Status(EINVAL,
                                   "a chunkserver is added by its uuid, which its own log tells "
                                   "('kfs chunkserver add ...')"));
        }
        return member.Change(request.ctx(), request.change(), Answering(call));
      case pb::Change::WHAT_NOT_SET:
        return call->Fail(
            Status(EINVAL, Code::kMalformed, "this version does not know the change asked for"));
      default:
        member.Change(request.ctx(), request.change(), Answering(call, settled));
    }
  });
  server.Handle<rpc::ConfShow>([&](IncomingCallPtr call, const pb::ConfShowRequest&) {
    pb::ConfShowReply reply;
    FillConf(member, chunkservers, &reply);
    call->Reply(reply);
  });
  server.Handle<rpc::ConfLog>([&member](IncomingCallPtr call, const pb::ConfLogRequest& request) {
    pb::ConfLogReply reply;
    FillLog(member, request, &reply);
    call->Reply(reply);
  });
  HandleCommand<rpc::PeerProbe>(server, [&peers](IncomingCallPtr call, const pb::PeerProbeRequest& request) {
    if (GoodContext(call, request.ctx())) peers.Probe(request, Answering(call));
  });
  HandleCommand<rpc::PeerRepair>(server,
                                 [&peers](IncomingCallPtr call, const pb::PeerRepairRequest& request) {
                                   if (GoodContext(call, request.ctx()))
                                     peers.Repair(request, Answering(call));
                                 });
  server.Handle<rpc::PeerWhy>([&peers](IncomingCallPtr call, const pb::PeerWhyRequest& request) {
    peers.Why(request.peer(), [call](const Status& s, const pb::PeerWhyReply& reply) {
      if (!s.ok()) return call->Fail(s);
      call->Reply(reply);
    });
  });
  HandleCommand<rpc::VolumeStatus>(
      server, [&member](IncomingCallPtr call, const pb::VolumeStatusRequest& request) {
        if (!GoodContext(call, request.ctx())) return;
        if (!request.name().empty() && FindVolume(member.conf(), request.name()) == nullptr) {
          return call->Fail(Status(
              ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", request.name())));
        }
        member.ReadStatus(request.ctx(), [call](const pb::VolumeStatusReply& reply) { call->Reply(reply); });
      });
  server.Handle<rpc::TransactionList>([&member](IncomingCallPtr call, const pb::TransactionListRequest&) {
    pb::TransactionListReply reply;
    FillTransactions(member, &reply);
    call->Reply(reply);
  });
  server.Handle<rpc::TransactionAbort>([&member](IncomingCallPtr call,
                                                 const pb::TransactionAbortRequest& request) {
    const auto& running = member.node().transactions();
    if (!running.contains(request.id())) {
      return call->Fail(Status(ENOENT, fmt::format("no transaction {} was begun on this metaserver and is "
                                                   "under way (see: kfs cluster transactions)",
                                                   request.id().substr(0, kRequestIdMax))));
    }
    if (!member.node().Abort(request.id())) {
      return call->Fail(Status(EBUSY,
                               "too late: its commit has been sent, it will be made or dropped as a "
                               "whole (see: kfs cluster log)"));
    }
    call->Reply(pb::Empty());
  });
}

}  // namespace kfs::meta

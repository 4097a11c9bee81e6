#include "metaserver/service/chunkserver_admission.h"

#include <fmt/format.h>

#include "common/log.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/key_changes.h"
#include "metaserver/members/cluster_keyring.h"
#include "metaserver/members/peer_ask.h"

namespace kfs::meta {

ChunkserverAdmission::ChunkserverAdmission(EventLoop& loop, Clock& clock, Chunkservers& chunkservers,
                                           Member& member, SyncPointExchange& points, Alarms& alarms)
    : loop_(loop),
      clock_(clock),
      chunkservers_(chunkservers),
      member_(member),
      points_(points),
      alarms_(alarms),
      twins_(loop, chunkservers, member.credentials(),
             [this](const std::string& uuid, TwinCheck::SeenFn seen, std::function<void()> done) {
               AskMembers(uuid, std::move(seen), std::move(done));
             }) {}

void ChunkserverAdmission::Register(const IncomingCallPtr& call,
                                    const pb::RegisterChunkserverRequest& request) {
  // By the root secret anybody may be anyone.
  if (const std::string key = MountRightsOf(*call->connection()).key; !key.empty()) {
    if (IsInvitation(key))
      return call->Fail(Status(EACCES, "an invitation does not register: it gets a key that does"));
    if (request.uuid() != call->connection()->hello.id())
      return call->Fail(Status(EACCES, "the key is another chunkserver's"));
  }
  points_.Heard(request.synced());
  points_.ForgetTold(request.uuid());
  twins_.Admit(request, lifetime_.While([this, call, request](const Status& s) {
    if (call->connection()->closed()) return;
    if (!s.ok()) return call->Fail(s);
    chunkservers_.Register(request, call->connection(),
                           lifetime_.While([this, call, request](const Result<ServerId>& id) {
                             if (!call->connection()->closed()) LetIn(call, request, id);
                           }));
  }));
}

// Where the other members know the chunkserver: we may have lost our memory.
void ChunkserverAdmission::AskMembers(const std::string& chunkserver, TwinCheck::SeenFn seen,
                                      std::function<void()> done) {
  auto open = std::make_shared<size_t>(1);  // one of them our own
  auto close = [open, done = std::move(done)] {
    if (--*open == 0) done();
  };
  pb::PeerAskRequest request;
  request.set_chunkserver(chunkserver);
  for (const pb::MemberConf& m : member_.conf().member()) {
    if (m.uuid() == member_.uuid()) continue;
    ++*open;
    AskPeer(
        loop_, m.address(), member_.uuid(), member_.credentials(),
        [seen, close](const PeerAnswer& there) {
          if (there.status.ok() && !there.reply.chunkserver_address().empty())
            seen({there.reply.chunkserver_address(), there.reply.chunkserver_up()});
          close();
        },
        request);
  }
  close();
}

void ChunkserverAdmission::LetIn(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request,
                                 const Result<ServerId>& id) {
  if (id.status().code() == Code::kOlderCopy) NoteOlderCopy(request, id.status());
  if (id.ok()) {
    if (older_copies_.erase(request.uuid()) != 0)
      alarms_.Clear("chunkserver.older_copy", "chunkserver " + request.uuid());
    pb::RegisterChunkserverReply reply;
    reply.set_server_id(id->v);
    reply.set_heartbeat_ms(Chunkservers::kHeartbeatMs);
    reply.set_clock(chunkservers_.clock_id());
    reply.set_clock_ms(chunkservers_.clock_ms());
    FillMembers(member_.conf(), chunkservers_.Find(*id), 0, &reply);
    return call->Reply(reply);
  }
  if (id.status().err() != ENOENT) return call->Fail(id.status());
  const auto& options = member_.conf().option();
  if (auto it = options.find("chunkserver-admission"); it != options.end() && it->second == "command") {
    // It asks again every second or two.
    const std::string uuid = Printable(request.uuid(), 64);  // anything, from who has the root secret
    alarms_.Raise("chunkserver.not_accepted",
                  fmt::format("chunkserver {} ({})", uuid, Printable(request.address(), 300)),
                  {.what = "waits to be accepted", .next = "kfs chunkserver add " + uuid},
                  clock_.MonoNow() + kAsksAgain);
    return call->Fail(Status(
        EACCES,
        fmt::format("not accepted yet: an administrator must run 'kfs chunkserver add {}'", request.uuid())));
  }
  Accept(call, request);
}

// Every member may be asked at the same moment: all propose, one change is made.
void ChunkserverAdmission::Accept(const IncomingCallPtr& call,
                                  const pb::RegisterChunkserverRequest& request) {
  const Status later(EAGAIN, Code::kTryAgain, "the chunkserver is being accepted: register again");
  pb::CommandContext ctx;
  ctx.set_request_id(NewUuid(loop_.entropy()));
  if (!accepting_.emplace(request.uuid(), Accepting{ctx.request_id(), call->connection().get()}).second)
    return call->Fail(later);
  ctx.set_words("chunkserver add " + request.uuid());
  pb::Change change;
  change.mutable_add_chunkserver()->set_uuid(request.uuid());
  for (const auto& [name, value] : request.label())
    (*change.mutable_add_chunkserver()->mutable_label())[name] = value;
  member_.Change(ctx, std::move(change),
                 lifetime_.While([this, call, request, later](const Status& s, const pb::ConfChangeReply&) {
                   accepting_.erase(request.uuid());
                   if (s.ok()) return Register(call, request);
                   // EEXIST: another member was quicker, and we shall hear of it in a moment.
                   call->Fail(s.err() == EINVAL ? s : Status(EAGAIN, Code::kTryAgain, s.message()));
                 }));
}

// An admission that is over is not tried any longer: later it might undo a removal.
void ChunkserverAdmission::ConfigurationChanged() {
  for (const auto& [uuid, accepting] : accepting_) {
    if (FindChunkserver(member_.conf(), uuid) != nullptr) GiveUp(accepting.transaction);
  }
}

void ChunkserverAdmission::Disconnected(const Connection* connection) {
  for (const auto& [uuid, accepting] : accepting_) {
    if (accepting.asked_by == connection) GiveUp(accepting.transaction);
  }
}

// Not from within the change by which it was learned.
void ChunkserverAdmission::GiveUp(const std::string& transaction) {
  loop_.Post(lifetime_.While([this, transaction] { member_.node().GiveUp(transaction); }));
}

void ChunkserverAdmission::NoteOlderCopy(const pb::RegisterChunkserverRequest& request, const Status& why) {
  older_copies_.insert(request.uuid());
  const Chunkserver* known = chunkservers_.FindUuid(request.uuid());
  const std::string address = Printable(request.address(), 300);
  KFS_LOG(error, "chunkserver.older_copy id={} uuid={} address={} reason=\"{}\" effect=\"it is not used\"",
          known == nullptr ? 0 : known->id.v, request.uuid(), address, why.message());
  const size_t end = why.message().find(". Nothing is lost yet: ");
  alarms_.Raise("chunkserver.older_copy", "chunkserver " + request.uuid(),
                {.severity = pb::ClusterStatusReply::Alarm::CRITICAL,
                 .what = fmt::format("({}) is not used: {}", address, why.message().substr(0, end)),
                 .next = end == std::string::npos ? "" : why.message().substr(end + 2)});
}

// One that does not belong to the cluster any more is nobody's trouble.
void ChunkserverAdmission::OnTimer() {
  std::erase_if(older_copies_, [this](const std::string& uuid) {
    if (chunkservers_.FindUuid(uuid) != nullptr) return false;
    alarms_.Clear("chunkserver.older_copy", "chunkserver " + uuid);
    return true;
  });
}

// Its number is never given out again: whatever it holds would be lost.
Status ChunkserverAdmission::MayRemove(const pb::Change::RemoveChunkserver& change) const {
  for (const auto& [id, s] : chunkservers_.all()) {
    if (s.uuid != change.uuid()) continue;
    const bool up = chunkservers_.IsUp(id);
    const bool sees_all = !s.disks.empty() && s.error().empty();
    if (up && change.lost()) {
      return Status(EBUSY, fmt::format("chunkserver {} ({}) is up: --lost is for one that will never be seen "
                                       "again. Stop its daemon first",
                                       id.v, s.address));
    }
    if (up && !sees_all) {
      return Status(
          EBUSY, fmt::format("chunkserver {} ({}) has a disk that cannot be read, and may hold chunks", id.v,
                             s.address));
    }
    if (up && s.chunks() > 0) {
      return Status(
          EBUSY, fmt::format("chunkserver {0} ({1}) holds {2} chunk{3}, which would be lost: copy their "
                             "files elsewhere and remove them first ('kfs chunkserver files {0}' lists them)",
                             id.v, s.address, s.chunks(), s.chunks() == 1 ? "" : "s"));
    }
    if (up && chunkservers_.PlacedLately(s)) {
      return Status(EBUSY,
                    fmt::format("files were just put on chunkserver {} ({}), which would be lost: see 'kfs "
                                "chunkserver status' in a moment",
                                id.v, s.address));
    }
    // One that has never been seen holds nothing, nor does one that had nothing when it was last heard of.
    const bool empty = s.address.empty() || (sees_all && s.chunks() == 0 && !chunkservers_.PlacedLately(s));
    if (!up && !change.lost() && !empty) {
      return Status(EBUSY,
                    fmt::format("chunkserver {0} ({1}) is down, and may hold chunks: start it, or give "
                                "up whatever it holds with --lost ('kfs chunkserver files {0}' lists it)",
                                id.v, s.address));
    }
  }
  return {};
}

}  // namespace kfs::meta

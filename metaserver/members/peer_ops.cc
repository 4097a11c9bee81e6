#include "metaserver/members/peer_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/log.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/diagnose.h"
#include "proto/op_types.h"
#include "rpc/address.h"
#include "rpc/hello.h"

namespace kfs::meta {
namespace {

constexpr auto kAdoptTimeout = std::chrono::seconds(5);
// Whoever asks what is wrong has an answer within two seconds.
constexpr auto kWhyPatience = std::chrono::milliseconds(1500);
// Longer than a change is tried for; whoever gives up leaves nothing else behind.
constexpr auto kReserved = std::chrono::seconds(60);

Result<std::string> WithPort(const std::string& address) {
  std::string host;
  uint16_t port = 0;
  KFS_RETURN_IF_ERROR(SplitAddress(address, kMetaserverPort, &host, &port));
  if (host.empty()) return Status(EINVAL, "a peer is named by HOST or HOST:PORT");
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace

PeerOps::PeerOps(EventLoop& loop, Clock& clock, Member& member, MemberEnv& env)
    : loop_(loop), clock_(clock), member_(member), env_(env), instance_(NewUuid(loop.entropy())) {}

// ---- the side that is asked

std::string PeerOps::WhyNotAlone() const {
  const pb::ClusterConf& conf = member_.conf();
  const bool member = FindMember(conf, member_.uuid()) != nullptr;
  if (member && conf.member_size() > 1)
    return fmt::format("it belongs to a cluster of {} metaservers: detach it there first",
                       conf.member_size());
  return env_.WhyNotLeave();
}

std::string PeerOps::ReservedForAnother(const std::string& cluster_id) const {
  if (cluster_id.empty() || reserved_for_.empty() || reserved_for_ == cluster_id ||
      clock_.MonoNow() >= reserved_until_)
    return "";
  return "another cluster is just taking it in: see what comes of that, and try again in a minute";
}

void PeerOps::Reply(const pb::PeerAskRequest& request, const std::string& asker,
                    std::function<void(const pb::PeerAskReply&)> done) {
  pb::PeerAskReply reply;
  FillAnswer(request, &reply);
  if (request.reach().empty()) return done(reply);
  AskPeer(loop_, request.reach(), member_.uuid(), member_.credentials(),
          lifetime_.While([reply, asker, where = request.reach(),
                           done = std::move(done)](const PeerAnswer& there) mutable {
            if (!there.status.ok()) {
              reply.set_unreached(there.status.message());
            } else if (there.reply.uuid() != asker) {
              reply.set_unreached(fmt::format("another metaserver answers at {}", where));
            }
            done(reply);
          }));
}

void PeerOps::FillAnswer(const pb::PeerAskRequest& request, pb::PeerAskReply* reply) {
  reply->set_uuid(member_.uuid());
  reply->set_incarnation(member_.incarnation());
  reply->set_cluster_id(member_.conf().cluster_id());
  reply->set_generation(member_.conf().generation());
  reply->set_checksum(member_.checksum());
  reply->set_address(member_.address());
  reply->set_why_not(WhyNotAlone());
  if (reply->why_not().empty()) reply->set_why_not(ReservedForAnother(request.reserve_for()));
  reply->set_alone(reply->why_not().empty());
  reply->set_software(kSoftware);
  reply->set_wall(clock_.WallNow());
  reply->set_instance(instance_);
  reply->set_no_room(!member_.db().HasRoom());
  *reply->mutable_conf() = member_.conf();
  const std::string& sought = request.chunkserver();
  if (const Chunkserver* s = sought.empty() ? nullptr : env_.FindChunkserver(sought); s != nullptr) {
    reply->set_chunkserver_address(s->address);
    reply->set_chunkserver_up(s->up);
  }
  if (reply->alone() && !request.reserve_for().empty()) {
    reserved_for_ = request.reserve_for();
    reserved_until_ = clock_.MonoNow() + kReserved;
  }
}

Status PeerOps::MayAdopt(const pb::PeerAdoptRequest& request, bool* already) const {
  const pb::ClusterConf& conf = request.conf();
  const pb::MemberConf* self = FindMember(conf, request.uuid());
  if (self == nullptr || self->incarnation() != request.incarnation() || conf.cluster_id().empty())
    return Status(EINVAL, Code::kMalformed, "who is adopted is in the configuration");
  const bool same = conf.cluster_id() == member_.conf().cluster_id() && request.uuid() == member_.uuid() &&
                    request.incarnation() == member_.incarnation() &&
                    FindMember(member_.conf(), member_.uuid()) != nullptr;
  *already = same;  // asked twice
  if (same) return {};
  // Late: what has been learnt since, a detachment perhaps, is not taken back, nor the promises that came
  // after.
  if (conf.cluster_id() == member_.conf().cluster_id() && request.uuid() == member_.uuid() &&
      member_.conf().generation() >= conf.generation()) {
    *already = true;
    return {};
  }
  std::string why = WhyNotAlone();
  if (why.empty()) why = ReservedForAnother(conf.cluster_id());
  return why.empty() ? Status() : Status(EBUSY, fmt::format("{} cannot join: {}", member_.address(), why));
}

void PeerOps::Adopt(const pb::PeerAdoptRequest& request, std::function<void(const Status&)> done) {
  // Not while it is being told of another, or of the same: then it knows who it is.
  member_.WhenDurable(lifetime_.While([this, request, done = std::move(done)] {
    bool already = false;
    const Status may = MayAdopt(request, &already);
    if (!may.ok() || already) return done(may);
    env_.JoinCluster(request.conf().cluster_id());
    member_.Adopt(request, [done] { done({}); });
  }));
}

// ---- taking one in

void PeerOps::AdoptThere(const std::shared_ptr<NetClient>& link, const std::string& uuid,
                         uint64_t incarnation, const pb::ConfChangeReply& reply, Member::ChangeDone done) {
  pb::PeerAdoptRequest adopt;
  *adopt.mutable_conf() = member_.conf();
  adopt.set_uuid(uuid);
  adopt.set_incarnation(incarnation);
  link->Enqueue<rpc::PeerAdopt>(
      adopt, lifetime_.While([this, link, made = reply, uuid, done = std::move(done)](Answer answer) mutable {
        Status s = answer.status;
        const std::string name = NameOf(member_.conf(), uuid);
        if (s.ok()) {
          // Of the phases it heard nothing, but by this it has the configuration.
          auto* missed = made.mutable_unreachable();
          missed->erase(
              std::remove_if(missed->begin(), missed->end(),
                             [&](const std::string& m) { return m == name || m.starts_with(name + " "); }),
              missed->end());
        } else {
          s = Status(s.err(),
                     fmt::format("{} is in the configuration, but could not be told: {}. Probe it again "
                                 "(kfs peer probe {}), or detach it",
                                 name, s.message(), name));
        }
        loop_.Post([done, s, made] { done(s, made); });
      }),
      kAdoptTimeout);
}

void PeerOps::Probe(const pb::PeerProbeRequest& request, Member::ChangeDone done) {
  Result<std::string> address = WithPort(request.address());
  if (!address.ok()) return done(address.status(), {});
  pb::PeerAskRequest ask;
  ask.set_reach(member_.address());
  if (!request.ctx().dry_run()) ask.set_reserve_for(member_.conf().cluster_id());
  const auto asked = lifetime_.While([this, request, address = *address,
                                      done = std::move(done)](PeerAnswer there) {
    if (!there.status.ok()) return done(there.status, {});
    const pb::PeerAskReply& peer = there.reply;
    if (peer.uuid() == member_.uuid())
      return done(Status(EINVAL, fmt::format("{} is this metaserver itself", address)), {});
    const pb::MemberConf* known = FindMember(member_.conf(), peer.uuid());
    pb::ConfChangeReply reply;
    reply.set_generation(member_.conf().generation());
    if (known != nullptr && !peer.alone()) {
      // Sent again after a lost answer.
      if (const auto made = member_.Made(request.ctx().request_id())) return done({}, *made);
    }
    if (known != nullptr && peer.cluster_id() == member_.conf().cluster_id() && !peer.alone())
      return done(Status(EEXIST, fmt::format("{} is a member already", address)), {});
    if (!peer.alone())
      return done(Status(EBUSY, fmt::format("{} cannot join: {}", address, peer.why_not())), {});
    // It would be a member that cannot answer: with two, nothing could be changed any more.
    if (!peer.unreached().empty()) {
      return done(Status(EHOSTUNREACH,
                         fmt::format("{} cannot join: it does not reach this metaserver at {} ({}). Set its "
                                     "listen and advertise to an address that the others can reach, and "
                                     "start it again",
                                     address, member_.address(), peer.unreached())),
                  {});
    }
    // An earlier probe that was interrupted before the peer was told.
    if (known != nullptr) return AdoptThere(there.link, peer.uuid(), known->incarnation(), reply, done);
    pb::Change change;
    pb::MemberConf* m = change.mutable_add_member()->mutable_member();
    m->set_uuid(peer.uuid());
    m->set_incarnation(peer.incarnation());
    m->set_address(address);
    member_.Change(request.ctx(), change,
                   lifetime_.While([this, there, done](const Status& s, const pb::ConfChangeReply& made) {
                     if (!s.ok() || made.dry_run()) return done(s, made);
                     AdoptThere(there.link, there.reply.uuid(), there.reply.incarnation(), made, done);
                   }));
  });
  AskPeer(loop_, *address, member_.uuid(), member_.credentials(), asked, ask);
}

void PeerOps::SetAddress(const pb::ConfChangeRequest& request, Member::ChangeDone done) {
  Result<std::string> uuid = ResolvePeer(member_.conf(), request.change().set_address().uuid());
  Result<std::string> address = WithPort(request.change().set_address().address());
  if (!uuid.ok() || !address.ok()) return done(uuid.ok() ? address.status() : uuid.status(), {});
  pb::ConfChangeRequest change = request;
  change.mutable_change()->mutable_set_address()->set_uuid(*uuid);
  change.mutable_change()->mutable_set_address()->set_address(*address);
  AskPeer(loop_, *address, member_.uuid(), member_.credentials(),
          lifetime_.While([this, change, uuid = *uuid, address = *address,
                           done = std::move(done)](const PeerAnswer& there) {
            if (!there.status.ok()) {
              return done(Status(there.status.err(),
                                 fmt::format("{}. Start it at its new address first: nothing was changed",
                                             there.status.message())),
                          {});
            }
            if (there.reply.uuid() != uuid) {
              return done(
                  Status(EINVAL, fmt::format("another metaserver answers at {} ({}): nothing was changed",
                                             address, there.reply.uuid())),
                  {});
            }
            member_.Change(change.ctx(), change.change(), done);
          }));
}

// ---- mending one

void PeerOps::Readmit(const pb::CommandContext& ctx, const pb::MemberConf& member, const PeerAnswer& there,
                      Member::ChangeDone done) {
  pb::Change change;
  change.mutable_readmit()->set_uuid(member.uuid());
  change.mutable_readmit()->set_incarnation(member.incarnation() + 1);
  member_.Change(ctx, change,
                 lifetime_.While([this, there, uuid = member.uuid(), incarnation = member.incarnation() + 1,
                                  done = std::move(done)](const Status& s, const pb::ConfChangeReply& made) {
                   if (!s.ok() || made.dry_run()) return done(s, made);
                   AdoptThere(there.link, uuid, incarnation, made, done);
                 }));
}

void PeerOps::Repair(const pb::PeerRepairRequest& request, Member::ChangeDone done) {
  Result<std::string> uuid = ResolvePeer(member_.conf(), request.peer());
  if (!uuid.ok()) return done(uuid.status(), {});
  if (*uuid == member_.uuid()) {
    return done(Status(EINVAL,
                       "a metaserver cannot mend itself: ask another one (kfs --metaserver OTHER peer "
                       "repair ...)"),
                {});
  }
  const pb::MemberConf member = *FindMember(member_.conf(), *uuid);
  pb::PeerAskRequest ask;
  if (!request.ctx().dry_run()) ask.set_reserve_for(member_.conf().cluster_id());
  AskPeer(
      loop_, member.address(), member_.uuid(), member_.credentials(),
      lifetime_.While([this, request, member, done = std::move(done)](PeerAnswer there) {
        if (!there.status.ok()) return done(there.status, {});
        const pb::PeerAskReply& peer = there.reply;
        const pb::ClusterConf& conf = member_.conf();
        if (peer.uuid() == member.uuid() && peer.cluster_id() == conf.cluster_id()) {
          // What it stores is its own: it needs no help but the newest configuration, which it takes by
          // itself.
          if (peer.generation() != conf.generation() || peer.checksum() == member_.checksum()) {
            pb::ConfChangeReply reply;
            reply.set_generation(conf.generation());
            reply.set_dry_run(request.ctx().dry_run());
            reply.add_difference(peer.generation() == conf.generation()
                                     ? "nothing: it has the cluster's configuration"
                                     : "nothing: it is catching up by itself");
            return done({}, reply);
          }
          return done(Status(EINVAL, fmt::format("{} has another configuration under generation {}: stop it, "
                                                 "move its data-dir/cluster away, start it, and repair it "
                                                 "again",
                                                 member.address(), conf.generation())),
                      {});
        }
        if (!peer.alone())
          return done(Status(EBUSY, fmt::format("{} cannot be mended: {}", member.address(), peer.why_not())),
                      {});
        Readmit(request.ctx(), member, there, done);
      }),
      ask);
}

// ---- what is wrong with one

// Two questions at once: who is there, and does it reach us? The second waits for its own question to us, and
// must not hold the first answer up.
void PeerOps::Why(const std::string& peer, std::function<void(const Status&, const pb::PeerWhyReply&)> done) {
  Result<std::string> uuid = ResolvePeer(member_.conf(), peer);
  if (!uuid.ok()) return done(uuid.status(), {});
  struct Asked {
    pb::MemberConf member;
    std::optional<PeerAnswer> there, back;
    std::function<void(const Status&, const pb::PeerWhyReply&)> done;
  };
  auto asked = std::make_shared<Asked>(
      Asked{.member = *FindMember(member_.conf(), *uuid), .there = {}, .back = {}, .done = std::move(done)});
  const auto answered = lifetime_.While([this, asked] {
    if (!asked->there || !asked->back) return;
    const pb::MemberConf& member = asked->member;
    pb::PeerWhyReply reply;
    reply.set_address(member.address());
    if (member.uuid() == member_.uuid()) reply.set_state("the metaserver that was asked");
    for (const PeerView& p : member_.node().Peers()) {
      if (p.uuid == member.uuid()) reply.set_state(std::string(WordsFor(p.state)));
    }
    // Who has answered at all within the time is there.
    const PeerAnswer& there = asked->there->status.ok() ? *asked->there : *asked->back;
    Diagnose(member_.conf(), member_.checksum(), member, there, clock_.WallNow(), &reply);
    if (!there.status.ok()) {
      AddLastHeard(member.uuid(), &reply);
    } else if (!asked->back->status.ok()) {
      AddWayBack("it has not found out in time", &reply);
    } else if (!asked->back->reply.unreached().empty()) {
      AddWayBack(asked->back->reply.unreached(), &reply);
    }
    asked->done({}, reply);
  });
  const std::string& address = asked->member.address();
  pb::PeerAskRequest back;
  back.set_reach(member_.address());
  AskPeer(
      loop_, address, member_.uuid(), member_.credentials(),
      [asked, answered](const PeerAnswer& a) { asked->there = a, answered(); }, {}, kWhyPatience);
  AskPeer(
      loop_, address, member_.uuid(), member_.credentials(),
      [asked, answered](const PeerAnswer& a) { asked->back = a, answered(); }, back, kWhyPatience);
}

void PeerOps::AddWayBack(const std::string& why, pb::PeerWhyReply* reply) const {
  auto* finding = reply->add_finding();
  finding->set_what("way back");
  finding->set_words(fmt::format("it does not reach this metaserver at {}: {}", member_.address(), why));
  finding->set_remedy(fmt::format("mend the network, or kfs peer address {} HOST:PORT", member_.address()));
}

// What was known of it before it went.
void PeerOps::AddLastHeard(const std::string& uuid, pb::PeerWhyReply* reply) const {
  for (const PeerView& p : member_.node().Peers()) {
    if (p.uuid != uuid) continue;
    auto* finding = reply->add_finding();
    finding->set_what("last heard");
    finding->set_good(true);
    const int64_t heard = member_.WallOf(p.last_heard);
    finding->set_words(heard == 0
                           ? "never since this metaserver was started"
                           : fmt::format("{} s ago, at generation {} ({} here)",
                                         std::max<int64_t>(0, (clock_.WallNow() - heard) / 1'000'000'000),
                                         p.generation, member_.conf().generation()));
  }
}

}  // namespace kfs::meta

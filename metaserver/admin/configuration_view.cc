#include "metaserver/admin/configuration_view.h"

#include <algorithm>

#include "metaserver/chunks/disk_sums.h"
#include "metaserver/cluster/asked_by.h"
#include "metaserver/cluster/conf_options.h"
#include "metaserver/cluster/configuration.h"
#include "rpc/hello.h"

namespace kfs::meta {
namespace {

constexpr uint32_t kLogMax = 100, kLogStandard = 20;

void FillSteps(const TransitionLog& log, MonoTime began, pb::TransactionListReply::Transaction* out) {
  for (const TransitionLog::Entry& e : log.entries()) {
    auto* step = out->add_step();
    step->set_micros(std::chrono::duration_cast<std::chrono::microseconds>(e.at - began).count());
    step->set_from(std::string(e.from));
    step->set_event(std::string(e.event));
    step->set_to(std::string(e.to));
  }
}

void SetCommand(const std::string& command, pb::TransactionListReply::Transaction* out) {
  AskedBy by;
  out->set_command(WithoutAsker(command, &by));
  out->set_asked_by(by.who);
  out->set_asked_key(by.key);
}

}  // namespace

void FillDisks(const Chunkserver& server, google::protobuf::RepeatedPtrField<pb::DiskStatus>* disks) {
  for (const pb::DiskStatus& disk : server.disks) *disks->Add() = disk;
}

void FillConf(const Member& member, const Chunkservers& chunkservers, pb::ConfShowReply* reply) {
  const pb::ClusterConf& conf = member.conf();
  *reply->mutable_conf() = conf;
  reply->set_self(member.uuid());
  reply->set_checksum(member.checksum());
  reply->set_software(kSoftware);
  for (const PeerView& p : member.node().Peers()) {
    auto* out = reply->add_peer();
    out->set_uuid(p.uuid);
    out->set_address(p.address);
    out->set_connected(p.connected);
    out->set_state(std::string(WordsFor(p.state)));
    out->set_generation(p.generation);
    out->set_checksum(p.checksum);
    out->set_last_heard(member.WallOf(p.last_heard));
    out->set_reason(p.connected && !p.reason.empty() ? p.reason : member.links().Of(p.uuid).reason);
    const pb::MemberConf* m = FindMember(conf, p.uuid);
    out->set_votes(m != nullptr && HasVote(conf, p.uuid, m->incarnation()));
  }
  // People look for a name; uuids, by which members are kept, say nothing to them.
  std::sort(reply->mutable_peer()->begin(), reply->mutable_peer()->end(),
            [](const auto& a, const auto& b) { return a.address() < b.address(); });
  for (const ConfOption& o : ConfOptions()) {
    auto* out = reply->add_option();
    out->set_name(std::string(o.name));
    out->set_of_cluster(o.of == ConfOption::Of::kCluster);
    out->set_fallback(std::string(o.standard));
    out->set_words(std::string(o.help));
  }
  for (const pb::ChunkserverConf& c : conf.chunkserver()) {
    auto* out = reply->add_chunkserver();
    out->set_id(c.id());
    const Chunkserver* s = chunkservers.Find(ServerId(c.id()));
    if (s == nullptr) continue;
    out->set_address(s->address);
    out->set_up(chunkservers.IsUp(s->id));
    out->set_last_seen(s->last_seen_wall);
    FillDisks(*s, out->mutable_disk());
  }
  ShortenDisks(reply);
}

void FillLog(Member& member, const pb::ConfLogRequest& request, pb::ConfLogReply* reply) {
  const uint32_t count = request.count() == 0 ? kLogStandard : std::min(request.count(), kLogMax);
  uint64_t from = member.conf().generation();
  if (request.before() != 0) from = std::min(from, request.before() - 1);
  std::optional<pb::ClusterConf> conf = member.db().NewestUpTo(from);
  for (uint32_t i = 0; i < count && conf; ++i) {
    const uint64_t generation = conf->generation();
    const std::optional<pb::ClusterConf> before = member.db().At(Before(*conf));
    auto* entry = reply->add_entry();
    AskedBy by;
    entry->set_generation(generation);
    entry->set_follows(Before(*conf));
    entry->set_time(conf->time());
    entry->set_command(WithoutAsker(conf->command(), &by));
    entry->set_asked_by(by.who);
    entry->set_asked_key(by.key);
    entry->set_transaction(conf->transaction());
    entry->set_checksum(Checksum(*conf));
    entry->set_originator(NameOf(*conf, conf->originator()));
    if (before) {
      for (const std::string& line : Differences(*before, *conf)) entry->add_difference(line);
    }
    conf = before ? before : member.db().NewestUpTo(Before(*conf));
  }
}

void FillTransactions(const Member& member, pb::TransactionListReply* reply) {
  const pb::ClusterConf& conf = member.conf();
  for (const auto& [id, o] : member.node().transactions()) {
    if (o->finished()) continue;  // it is in the history already
    auto* out = reply->add_transaction();
    out->set_id(id);
    SetCommand(o->command().words, out);
    out->set_read(o->command().read);
    out->set_originator(NameOf(conf, member.uuid()));
    out->set_state(std::string(NameOf(o->state())));
    out->set_started(member.WallOf(o->started()));
    for (const auto& [uuid, words] : o->Answers()) (*out->mutable_answer())[NameOf(conf, uuid)] = words;
    FillSteps(o->log(), o->started(), out);
  }
  for (const Participant::View& t : member.node().participant().List()) {
    if (t.originator == member.uuid()) continue;
    auto* out = reply->add_transaction();
    out->set_id(t.id);
    SetCommand(t.command, out);
    out->set_read(t.read);
    out->set_originator(NameOf(conf, t.originator));
    out->set_state(std::string(t.state));
    out->set_participant(true);
  }
  const auto& past = member.node().history().entries();
  for (auto it = past.rbegin(); it != past.rend(); ++it) {
    const History::Entry& p = *it;
    auto* out = reply->add_transaction();
    out->set_id(p.id);
    SetCommand(p.words, out);
    out->set_read(p.read);
    out->set_originator(NameOf(conf, member.uuid()));
    out->set_state("Default");
    out->set_started(member.WallOf(p.started));
    out->set_ended(member.WallOf(p.ended));
    out->set_outcome(p.kind == Outcome::kDone      ? "done"
                     : p.kind == Outcome::kUnknown ? "outcome unknown: " + p.status.message()
                     : p.status.ok()               ? "nothing to change"
                                                   : p.status.message());
    for (const auto& [uuid, words] : p.answers) (*out->mutable_answer())[NameOf(conf, uuid)] = words;
    FillSteps(p.log, p.started, out);
  }
}

}  // namespace kfs::meta

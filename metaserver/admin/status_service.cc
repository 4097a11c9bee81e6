#include "metaserver/admin/status_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"
#include "rpc/hello.h"

namespace kfs::meta {
namespace {

void FillLost(const Executor& executor, pb::ClusterStatusReply* reply) {
  constexpr size_t kShown = 256;
  std::vector<const Session*> lost;
  for (const auto& [vid, v] : executor.volumes()) {
    for (const auto& [sid, s] : v->sessions) {
      if (s->expired != 0) lost.push_back(s.get());
    }
  }
  reply->set_lost_sessions(lost.size());
  const size_t shown = std::min(lost.size(), kShown);
  std::partial_sort(lost.begin(), lost.begin() + static_cast<ptrdiff_t>(shown), lost.end(),
                    [](const Session* a, const Session* b) { return a->expired > b->expired; });
  for (size_t i = 0; i < shown; ++i) {
    auto* out = reply->add_lost_session();
    out->set_volume(lost[i]->volume->info.name());
    out->set_host(lost[i]->host);
    out->set_mountpoint(lost[i]->mountpoint.substr(0, 100));
    out->set_lost(lost[i]->expired);
  }
}

// What the sessions of a volume keep, once it is so much that some of them are refused.
void FillCrowded(const Volume& volume, pb::ClusterStatusReply* reply) {
  const auto raise = [&](const char* name, const std::string& what, const char* next) {
    pb::ClusterStatusReply::Alarm* alarm = reply->add_alarm();
    alarm->set_name(name);
    alarm->set_subject("volume " + volume.info.name());
    alarm->set_severity(pb::ClusterStatusReply::Alarm::WARNING);
    alarm->set_words(what);
    alarm->set_next(next);
  };
  if (volume.stored_replies.bytes() >= volume.stored_replies.bytes_max) {
    raise("session.answers_kept",
          fmt::format(
              "answers that its clients have not acknowledged take {} bytes: clients with many of them are "
              "refused, and try again",
              volume.stored_replies.bytes()),
          "kfs status shows the mounts and their kept answers: end those that do not belong there");
  }
  if (volume.open_files.bytes() >= volume.open_files.bytes_max) {
    raise(
        "session.opens_kept",
        fmt::format("what its mounts have open takes {} bytes: who has many files open gets ENFILE for more",
                    volume.open_files.bytes()),
        "kfs status shows the mounts and their open files: end the programs that do not close theirs");
  }
}

}  // namespace

StatusService::StatusService(EventLoop& loop, const Parts& parts, int64_t started_wall)
    : loop_(loop),
      server_(parts.server),
      member_(parts.member),
      executor_(parts.executor),
      volumes_(parts.volumes),
      chunkservers_(parts.chunkservers),
      alarms_(parts.alarms),
      view_(parts.view),
      links_(parts.links),
      started_wall_(started_wall) {}

void StatusService::Start() {
  op_times_timer_ = loop_.RunEvery(kOpPeriod, [this] {
    if (op_times_.size() == kOpPeriods) op_times_.pop_front();
    op_times_.push_back(OpTimesNow());
  });
}

void StatusService::Register() {
  server_.Handle<rpc::VolumeList>([this](IncomingCallPtr call, const pb::VolumeListRequest&) {
    pb::VolumeListReply reply;
    for (const pb::VolumeConf& v : member_.conf().volume()) view_.Fill(v, reply.add_volume());
    call->Reply(reply);
  });
  server_.Handle<rpc::VolumeInfo>([this](IncomingCallPtr call, const pb::VolumeInfoRequest& request) {
    const pb::VolumeConf* v = meta::FindVolume(member_.conf(), request.name());
    if (v == nullptr) return call->Fail(Status(ENOENT, "there is no volume \"" + request.name() + "\""));
    pb::VolumeReply reply;
    view_.Fill(*v, reply.mutable_volume());
    call->Reply(reply);
  });
  server_.Handle<rpc::ClusterStatus>([this](IncomingCallPtr call, const pb::ClusterStatusRequest&) {
    pb::ClusterStatusReply reply;
    Fill(&reply);
    call->Reply(reply);
  });
}

// Of ops that are answered without waiting for anybody else, also not for a client.
StatusService::OpTimes StatusService::OpTimesNow() const {
  OpTimes now;
  server_.counts()->ForEach([&](Op number, const OpStats& stats) {
    const OpInfo* op = FindOp(static_cast<uint16_t>(number));
    if (op == nullptr || op->answered != Answered::kAtOnce || (op->senders & kFromClient) == 0) return;
    now.count += stats.seconds.count();
    now.micros += stats.seconds.micros();
  });
  return now;
}

void StatusService::Fill(pb::ClusterStatusReply* reply) const {
  reply->set_cluster_id(member_.conf().cluster_id());
  reply->set_software(kSoftware);
  reply->set_started(started_wall_);
  reply->set_rss_bytes(loop_.ResidentBytes());
  reply->set_connections(static_cast<uint32_t>(server_.connections().size()));
  FillChunkservers(reply);
  FillAlarms(reply);
  FillSessions(reply);
  for (const pb::VolumeConf& v : member_.conf().volume()) view_.Fill(v, reply->add_volume());
  FillLost(executor_, reply);
  links_.Fill(reply);
  const OpTimes now = OpTimesNow(), then = op_times_.empty() ? OpTimes{} : op_times_.front();
  reply->set_recent_ops(now.count - then.count);
  reply->set_recent_micros(now.micros - then.micros);
  server_.counts()->ForEach([&](Op number, const OpStats& stats) {
    auto* op = reply->add_op();
    op->set_name(std::string(OpName(number)));
    op->set_count(stats.seconds.count());
    op->set_errors(stats.errors.value());
    op->set_micros(stats.seconds.micros());
  });
}

void StatusService::FillChunkservers(pb::ClusterStatusReply* reply) const {
  for (const auto& [id, s] : chunkservers_.all()) {
    auto* c = reply->add_chunkserver();
    c->set_id(id.v);
    c->set_uuid(s.uuid);
    c->set_address(s.address);
    c->set_up(s.up);
    c->set_last_seen(s.last_seen_wall);
    c->set_capacity(s.capacity());
    c->set_available(s.available());
    c->set_chunks(s.chunks());
    c->set_error(s.error().empty() ? s.unreached : s.error());
    c->set_rss_bytes(s.rss_bytes);
    c->set_plain_links(s.plain_links);
    for (const std::string& host : s.plain_from) c->add_plain_from(host);
    for (const auto& disk : s.disks) c->set_set_aside(c->set_aside() + disk.set_aside());
    c->set_key(s.key_id);
    if (s.connection != nullptr) {
      c->set_link(s.connection->stream().kind());
      c->set_tls(std::string(TlsWord(s.connection->hello)));
    }
    for (const auto& [vid, v] : executor_.volumes()) {
      c->set_pending_mutations(c->pending_mutations() + v->mutations.CountOf(id));
      c->set_pending_deletes(c->pending_deletes() + v->garbage.CountOf(id));
    }
  }
  const SpaceSum space = chunkservers_.Space();
  reply->set_capacity(space.capacity());
  reply->set_available(space.available());
}

void StatusService::FillAlarms(pb::ClusterStatusReply* reply) const {
  alarms_.Fill(loop_.clock().MonoNow(), reply);
  for (const auto& [vid, v] : executor_.volumes()) FillCrowded(*v, reply);
  for (const auto& [id, why] : volumes_.undeleted()) {
    pb::ClusterStatusReply::Alarm* alarm = reply->add_alarm();
    alarm->set_name("volume.delete_failed");
    alarm->set_subject(fmt::format("volume {} (deleted)", id.v));
    alarm->set_severity(pb::ClusterStatusReply::Alarm::WARNING);
    alarm->set_words("its files are still on the disk of " + member_.address() + ": " + why.message());
    alarm->set_next("it is tried again at the next change or start");
  }
}

void StatusService::FillSessions(pb::ClusterStatusReply* reply) const {
  constexpr int kSessionsShown = 4096;  // one answer has its limit
  for (const auto& [vid, v] : executor_.volumes()) {
    for (const auto& [sid, s] : v->sessions) {
      if (reply->session_size() >= kSessionsShown) break;
      if (s->expired != 0) continue;
      auto* out = reply->add_session();
      out->set_id(sid.v);
      out->set_volume(v->info.name());
      out->set_host(s->host);
      out->set_mountpoint(s->mountpoint.substr(0, 100));
      out->set_attached(s->connection() != nullptr);
      out->set_path(s->path.substr(0, 100));
      out->set_key(s->rights.key());
      if (s->connection() != nullptr) {
        out->set_link(s->connection()->stream().kind());
        out->set_tls(std::string(TlsWord(s->connection()->hello)));
      }
      out->set_opens(static_cast<uint32_t>(s->opens.size()));
      out->set_locks(static_cast<uint32_t>(v->locks.CountOf(sid)));
      out->set_replies_kept(static_cast<uint32_t>(s->replies_kept()));
      const Session::Calls calls = s->RecentCalls();
      out->set_recent_ops(calls.count);
      out->set_recent_micros(calls.micros);
      out->set_slowest_micros(calls.slowest_micros);
    }
  }
}

}  // namespace kfs::meta

#include "metaserver/service/sync_point_exchange.h"

#include <algorithm>

#include "metaserver/cluster/configuration.h"

namespace kfs::meta {

pb::SyncPoint PointOf(const SyncPoints& points, const Volume& volume) {
  return points.Signed(volume.id(), volume.line, volume.store.db().synced_at(), volume.incarnation());
}

SyncPointExchange::SyncPointExchange(Clock& clock, SyncPoints& points, const Executor& executor,
                                     VolumeHost& volumes, const Chunkservers& chunkservers, Member& member)
    : clock_(clock),
      points_(points),
      executor_(executor),
      volumes_(volumes),
      chunkservers_(chunkservers),
      member_(member),
      vouched_by_(clock.MonoNow() + kVouchedWithin) {}

void SyncPointExchange::Heard(const pb::SyncPoint& point) {
  if (points_.Heard(point)) volumes_.CloseOlder(VolumeId(point.volume()));
}

void SyncPointExchange::Heard(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points) {
  for (const pb::SyncPoint& p : points) Heard(p);
}

void SyncPointExchange::BeginAnew(std::string key) {
  points_.BeginAnew(std::move(key));
  told_ = PointsTold();
}

// What nobody has attached to since it was opened has acknowledged nothing: a copy that was started by
// mistake and ended again, as its twin runs, must not make that one look old.
void SyncPointExchange::TellChunkserver(ServerId server, pb::HeartbeatReply* reply) {
  const Chunkserver* s = chunkservers_.Find(server);
  if (s == nullptr) return;
  for (const auto& [id, volume] : executor_.volumes()) {
    if (static_cast<size_t>(reply->synced_size()) >= PointsTold::kAtOnce) return;
    if (volume->attached && told_.IsNews(s->uuid, id, volume->store.db().synced_at()))
      *reply->add_synced() = PointOf(points_, *volume);
  }
}

void SyncPointExchange::TellMembers() {
  const pb::ClusterConf& conf = member_.conf();
  for (const pb::MemberConf& m : conf.member()) {
    const PeerLinks::View view = member_.links().Of(m.uuid());
    if (m.uuid() == member_.uuid() || !view.connected) continue;
    told_.Since(m.uuid(), view.since);
    pb::PeerMessage message;
    const auto tell = [&](VolumeId id, uint64_t sequence, auto&& point) {
      if (static_cast<size_t>(message.synced_size()) >= PointsTold::kAtOnce) return;
      if (told_.IsNews(m.uuid(), id, sequence)) *message.add_synced() = point();
    };
    for (const auto& [id, volume] : executor_.volumes())
      if (volume->attached)
        tell(id, volume->store.db().synced_at(), [&, &v = *volume] { return PointOf(points_, v); });
    for (const pb::VolumeConf& v : conf.volume()) {
      const pb::SyncPoint* heard = points_.Latest(VolumeId(v.id()));
      if (heard != nullptr && v.owner() == m.uuid())
        tell(VolumeId(v.id()), heard->sequence(), [&] { return *heard; });
    }
    if (message.synced_size() == 0) continue;
    message.set_from(member_.uuid());
    message.set_incarnation(member_.incarnation());
    message.set_cluster_id(conf.cluster_id());
    message.set_generation(conf.generation());
    member_.Send(m.uuid(), message);
  }
}

// What mounts made in an older copy would be gone with it, and they would find their sessions and files gone
// in it; what they know themselves may be older still.
Status SyncPointExchange::Vouched() const {
  const pb::ClusterConf& conf = member_.conf();
  if (conf.chunkserver().empty() || clock_.MonoNow() >= vouched_by_) return {};
  const auto has_come = [](const auto& s) { return !s.second.instance.empty(); };
  if (std::ranges::any_of(chunkservers_.all(), has_come)) return {};
  return Status(EAGAIN, Code::kTryAgain,
                "the metaserver has just started, and waits for a chunkserver to say that its data is not an "
                "older copy");
}

}  // namespace kfs::meta

#include "metaserver/service/membership.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "common/log.h"
#include "common/secret.h"
#include "metaserver/cluster/configuration.h"
#include "rpc/hello.h"

namespace kfs::meta {

std::string SyncPointKey(const Credentials& root, const std::string& cluster) {
  return Hkdf(root.key(), "kfs sync point " + cluster);
}

Membership::Membership(Options options, const Parts& parts)
    : options_(std::move(options)),
      cluster_(parts.cluster),
      server_(parts.server),
      member_(parts.member),
      executor_(parts.executor),
      volumes_(parts.volumes),
      chunkservers_(parts.chunkservers),
      bricks_(parts.bricks),
      images_(parts.images),
      admission_(parts.admission),
      keys_(parts.keys),
      exchange_(parts.exchange),
      view_(parts.view) {}

Status Membership::Begin() {
  if (cluster_.cluster_id() != member_.conf().cluster_id())  // a crash between the two records of joining
    JoinCluster(member_.conf().cluster_id());
  chunkservers_.Configure(member_.conf());
  const Status served = volumes_.Apply(member_.conf(), member_.uuid(), member_.incarnation());
  // The cluster needs the vote of a member also when a volume of its is lost; 'kfs volume status' tells of
  // it. Alone, it goes on for the other volumes, if any is served.
  if (!served.ok() && member_.conf().member_size() == 1 && executor_.volumes().empty()) return served;
  KFS_RETURN_IF_ERROR(CreateDefaultVolume());
  return SetOwnAddress();
}

Status Membership::SetOwnAddress() {
  const std::string &now = options_.advertised, known = member_.address();
  if (known.empty() || known == now) return {};
  if (member_.conf().member_size() > 1) {
    KFS_LOG(warn,
            "cluster.address configured={} known={} next=\"the others reach this metaserver at the old "
            "address: kfs peer address {} {}\"",
            now, known, known, now);
    return {};
  }
  pb::Change change;
  change.mutable_set_address()->set_uuid(member_.uuid());
  change.mutable_set_address()->set_address(now);
  pb::CommandContext ctx;
  ctx.set_words("peer address " + known + " " + now);
  Status changed(EIO, "the address could not be changed");
  member_.Change(ctx, std::move(change), [&](const Status& s, const pb::ConfChangeReply&) { changed = s; });
  return changed;
}

// In a cluster of one a change is made before the call returns.
Status Membership::CreateDefaultVolume() {
  const std::string& name = options_.default_volume;
  if (name.empty() || member_.conf().next_volume() != 0 || member_.conf().member_size() > 1) return {};
  pb::Change change;
  change.mutable_create_volume()->set_name(name);
  pb::CommandContext ctx;
  ctx.set_words("volume create " + name);
  Status made(EIO, "the default volume could not be made");
  member_.Change(ctx, std::move(change), [&](const Status& s, const pb::ConfChangeReply&) { made = s; });
  if (made.ok()) return volumes_.Trouble(VolumeId(member_.conf().next_volume()));
  return made;
}

void Membership::ConfigurationChanged(const pb::ClusterConf& before) {
  bricks_.Decided(member_.conf());
  chunkservers_.Configure(member_.conf());
  admission_.ConfigurationChanged();
  for (const pb::VolumeConf& v : before.volume()) {
    const pb::VolumeConf* now = meta::FindVolume(member_.conf(), v.name());
    if ((now == nullptr || now->id() != v.id()) && v.owner() == member_.uuid())
      chunkservers_.WantInventories();  // its chunks are garbage now
  }
  // Logged, and told by Trouble.
  (void)volumes_.Apply(member_.conf(), member_.uuid(), member_.incarnation());
  keys_.EndSessions();
}

std::string Membership::WhyNotLeave() {
  if (const auto& held = cluster_.volumes(); !held.empty()) {
    constexpr size_t kNamed = 5;
    std::vector<std::string> names;
    for (const auto& [id, info] : held) {
      if (names.size() < kNamed) names.push_back(info.name());
    }
    if (names.size() < held.size()) names.push_back("...");
    const bool out = FindMember(member_.conf(), member_.uuid()) == nullptr;
    return fmt::format(
        "it holds the data of {} volumes: {}, or, if they are not wanted any more, stop it, empty its data "
        "directory and start it",
        held.size(),
        out ? fmt::format("back up those that are wanted ({}: kfs --metaserver {} volume backup VOLUME FILE)",
                          fmt::join(names, ", "), options_.advertised)
            : "delete them there");
  }
  for (const auto& [id, s] : chunkservers_.all()) {
    if (s.connection != nullptr) return "chunkservers use it: point them at the cluster first";
  }
  return "";
}

Status Membership::Validate(const pb::Change& change, const pb::ClusterConf& next) {
  if (change.has_remove_chunkserver()) return admission_.MayRemove(change.remove_chunkserver());
  if (!change.has_move_volume()) return {};
  const pb::Change::MoveVolume& move = change.move_volume();
  if (move.owner() != member_.uuid() || move.transfer().empty() || move.transfer() == kDryTransfer ||
      images_.Find(move.transfer()) != nullptr)
    return {};
  return Status(EINVAL, fmt::format("it has no copy of volume \"{}\" of generation {}", move.name(),
                                    next.generation()));
}

void Membership::Prepare(const pb::ClusterConf& next, const pb::Ballot& ballot,
                         std::function<void(Status)> done) {
  bricks_.Prepare(member_.conf(), next, ballot, std::move(done));
}

void Membership::Report(std::function<void(pb::MemberReport)> done) {
  pb::MemberReport report;
  report.set_software(kSoftware);
  report.set_started(options_.started_wall);
  for (const pb::VolumeConf& v : member_.conf().volume()) {
    if (v.owner() == member_.uuid()) view_.Fill(v, report.add_volume());
  }
  bricks_.Report(std::move(report), std::move(done));
}

ChunkserverAddresses Membership::AddressesOfChunkservers() {
  ChunkserverAddresses out;
  for (const auto& [id, s] : chunkservers_.all()) out[id.v] = s.address;
  return out;
}

void Membership::HeardSyncPoints(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points) {
  exchange_.Heard(points);
}

void Membership::JoinCluster(const std::string& cluster_id) {
  cluster_.SetClusterId(cluster_id);
  server_.SetClusterId(cluster_id);
  exchange_.BeginAnew(SyncPointKey(member_.credentials(), cluster_id));
}

const Chunkserver* Membership::FindChunkserver(const std::string& uuid) {
  return chunkservers_.FindUuid(uuid);
}

}  // namespace kfs::meta

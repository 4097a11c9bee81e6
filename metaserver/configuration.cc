// The metaserver and its cluster's configuration: founding it, doing what it says, joining another.
#include "metaserver/cluster/configuration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "common/log.h"
#include "metaserver/members/answers.h"
#include "metaserver/metaserver.h"
#include "rpc/address.h"

namespace kfs::meta {
namespace {

// What others reach us by: the address listened on, unless it means "all addresses".
std::string Advertised(const std::string& configured, const std::string& listening) {
  if (!configured.empty()) return configured;
  std::string host;
  uint16_t port = 0;
  if (!SplitAddress(listening, 0, &host, &port).ok()) return listening;
  if (host != "0.0.0.0" && host != "::") return listening;
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return fmt::format("{}:{}", name, port);
}

std::string PointKey(const Credentials& root, const std::string& cluster) {
  return Hkdf(root.key(), "kfs sync point " + cluster);
}

}  // namespace

Status MetaServer::Found() {
  Result<bool> empty = member_db_->Empty();
  if (!empty.ok()) return empty.status();
  if (!*empty) return {};
  if (!cluster_->volumes().empty()) {
    // A new configuration would not have them, and what is not in it is deleted.
    return Status(EPROTONOSUPPORT,
                  fmt::format("{} has volumes, but no member's record: an earlier version made it, which "
                              "this one cannot take over; nothing was changed",
                              options_.data_dir()));
  }
  // So would volumes whose metaserver's own database is gone, or was not copied along.
  const std::string volumes = options_.data_dir() + "/volumes";
  std::vector<std::string> there;
  (void)files_.List(volumes, &there);
  if (!there.empty()) {
    return Status(
        EEXIST,
        fmt::format("{} is there, but {}/cluster, which says whose it is, is new: no cluster is founded "
                    "where volumes lie. Put the right cluster directory back; or move the volumes away, "
                    "start, let another member mend this one (kfs peer repair), and put them back; "
                    "or restore them from backups; nothing was changed",
                    volumes + "/" + there.front(), options_.data_dir()));
  }
  member_db_->Save(
      Founding(cluster_->cluster_id(), Advertised(options_.advertise(), address()), loop_.entropy()));
  return {};
}

Status MetaServer::BecomeMember(const Credentials& credentials) {
  member_db_ = std::make_unique<MemberDb>(cluster_->db());
  KFS_RETURN_IF_ERROR(Found());
  images_ = std::make_unique<ImageStore>(options_.data_dir(), files_, *jobs_, clock_);
  KFS_RETURN_IF_ERROR(images_->Open());
  image_reader_ = std::make_unique<ImageReader>(options_.data_dir(), files_, *jobs_, clock_, loop_.entropy());
  points_ = std::make_unique<SyncPoints>(PointKey(credentials, cluster_id()));
  points_told_ = std::make_unique<PointsTold>();
  vouched_by_ = clock_.MonoNow() + kVouchedWithin;
  volumes_ = std::make_unique<VolumeHost>(
      VolumeHost::Options{options_.data_dir(), static_cast<size_t>(options_.cache_memory())}, files_,
      *cluster_, *memory_, *executor_, *chunkservers_, clock_, *images_, *points_);
  member_ = std::make_unique<Member>(
      loop_, clock_, *member_db_, credentials, TestStop(files_, options_.data_dir()),
      Member::Hooks{.learned = [this](const pb::ClusterConf& before) { Learned(before); },
                    .validate = [this](const pb::Change& change,
                                       const pb::ClusterConf& next) { return Validate(change, next); },
                    .prepare =
                        [this](const pb::ClusterConf& next, const pb::Ballot& ballot,
                               std::function<void(Status)> done) {
                          bricks_->Prepare(member_->conf(), next, ballot, std::move(done));
                        },
                    .report = [this](std::function<void(pb::MemberReport)> done) { Report(std::move(done)); },
                    .defaults =
                        [this] {
                          return VolumeDefaults{static_cast<uint64_t>(options_.default_chunk_size()),
                                                static_cast<uint32_t>(options_.default_replicas())};
                        },
                    .chunkservers =
                        [this] {
                          ChunkserverAddresses out;
                          for (const auto& [id, s] : chunkservers_->all()) out[id.v] = s.address;
                          return out;
                        },
                    .heard = [this](const auto& points) { HeardPoints(points); },
                    .seen = seen_});
  peers_ = std::make_unique<PeerOps>(
      loop_, clock_, *member_,
      PeerOps::Hooks{
          .holds = [this] { return Holds(); },
          .joined = [this](const std::string& id) { return Joined(id); },
          .chunkserver = [this](const std::string& uuid) { return chunkservers_->FindUuid(uuid); }});
  twins_ = std::make_unique<TwinCheck>(
      loop_, *chunkservers_, credentials,
      [this](const std::string& uuid, TwinCheck::SeenFn seen, std::function<void()> done) {
        AskMembers(uuid, std::move(seen), std::move(done));
      });
  reach_ = std::make_unique<ReachCheck>(loop_, clock_, *chunkservers_, credentials);
  mover_ = std::make_unique<Mover>(
      Mover::Options{options_.data_dir(), static_cast<uint64_t>(options_.move_rate())}, files_, loop_, clock_,
      *jobs_, *member_, *volumes_);
  mover_->Start();
  missing_ = std::make_unique<MissingChunks>(clock_, *executor_, *chunkservers_, alarms_);
  lost_ = std::make_unique<LostChunks>(clock_, *scans_, *executor_,
                                       [this]() -> const pb::ClusterConf& { return member_->conf(); });
  if (cluster_id() != member_->conf().cluster_id())  // a crash between the two records of joining
    KFS_RETURN_IF_ERROR(Joined(member_->conf().cluster_id()));
  chunkservers_->Configure(member_->conf());
  const Status served = volumes_->Apply(member_->conf(), member_->uuid(), member_->incarnation());
  // The cluster needs the vote of a member also when a volume of its is lost; 'kfs volume status' tells of
  // it.
  // Alone, it goes on for the other volumes, if any is served.
  if (!served.ok() && member_->conf().member_size() == 1 && executor_->volumes().empty()) return served;
  KFS_RETURN_IF_ERROR(CreateDefaultVolume());

  if (!Elsewhere()) return {};
  const std::string now = Advertised(options_.advertise(), address()), known = member_->address();
  if (member_->conf().member_size() > 1) {
    KFS_LOG(warn,
            "cluster.address configured={} known={} next=\"the others reach this metaserver at the old "
            "address: kfs peer address {} {}\"",
            now, known, known, now);
    return {};
  }
  pb::Change change;
  change.mutable_set_address()->set_uuid(member_->uuid());
  change.mutable_set_address()->set_address(now);
  pb::CommandContext ctx;
  ctx.set_words("peer address " + known + " " + now);
  Status changed(EIO, "the address could not be changed");
  member_->Change(ctx, std::move(change), [&](const Status& s, const pb::ConfChangeReply&) { changed = s; });
  return changed;
}

// In a cluster of one a change is made before the call returns.
Status MetaServer::CreateDefaultVolume() {
  const std::string& name = options_.default_volume();
  if (name.empty() || member_->conf().next_volume() != 0 || member_->conf().member_size() > 1) return {};
  pb::Change change;
  change.mutable_create_volume()->set_name(name);
  pb::CommandContext ctx;
  ctx.set_words("volume create " + name);
  Status made(EIO, "the default volume could not be made");
  member_->Change(ctx, std::move(change), [&](const Status& s, const pb::ConfChangeReply&) { made = s; });
  if (made.ok()) return volumes_->Trouble(VolumeId(member_->conf().next_volume()));
  return made;
}

void MetaServer::Learned(const pb::ClusterConf& before) {
  bricks_->Decided(member_->conf());
  chunkservers_->Configure(member_->conf());
  EndAccepted(nullptr);
  for (const pb::VolumeConf& v : before.volume()) {
    const pb::VolumeConf* now = meta::FindVolume(member_->conf(), v.name());
    if ((now == nullptr || now->id() != v.id()) && v.owner() == member_->uuid())
      chunkservers_->WantInventories();  // its chunks are garbage now
  }
  (void)volumes_->Apply(member_->conf(), member_->uuid(),
                        member_->incarnation());  // logged, and told by Trouble
  // At once: whoever has revoked a key is answered when nothing is opened by it here any more.
  executor_->EndSessionsOfKeys([this](const std::string& key) { return keyring_->Counts(key); });
}

std::string MetaServer::Holds() const {
  if (const auto& held = cluster_->volumes(); !held.empty()) {
    constexpr size_t kNamed = 5;
    std::vector<std::string> names;
    for (const auto& [id, info] : held) {
      if (names.size() < kNamed) names.push_back(info.name());
    }
    if (names.size() < held.size()) names.push_back("...");
    const bool out = FindMember(member_->conf(), member_->uuid()) == nullptr;
    return fmt::format(
        "it holds the data of {} volumes: {}, or, if they are not wanted any more, stop it, empty its data "
        "directory and start it",
        held.size(),
        out ? fmt::format("back up those that are wanted ({}: kfs --metaserver {} volume backup VOLUME FILE)",
                          fmt::join(names, ", "), Advertised(options_.advertise(), address()))
            : "delete them there");
  }
  for (const auto& [id, s] : chunkservers_->all()) {
    if (s.connection != nullptr) return "chunkservers use it: point them at the cluster first";
  }
  return "";
}

bool MetaServer::Elsewhere() const {
  const std::string known = member_->address();
  return !known.empty() && known != Advertised(options_.advertise(), address());
}

// At another address than the cluster knows us by, we may be a copy of somebody who runs there: it would have
// our volumes, too. The copy ends; whoever is where it should be has nothing to ask.
void MetaServer::LookForTwin() {
  const std::string known = member_->address();
  if (member_->conf().member_size() < 2 || !Elsewhere()) return;
  AskPeer(
      loop_, known, member_->uuid(), member_->credentials(),
      [this, alive = alive_, known](const PeerAnswer& there) {
        if (!*alive || stopped_ || !there.status.ok() || there.reply.uuid() != member_->uuid() ||
            there.reply.instance() == peers_->instance())
          return;
        KFS_LOG(
            critical,
            "cluster.runs_twice uuid={} address={} known={} next=\"a metaserver with this uuid answers at "
            "{}: this data "
            "directory is a copy of its, or the other way round. Stop one for good: a copy must never run\"",
            member_->uuid(), address(), known, known);
        spdlog::shutdown();
        std::_Exit(kExitRunsTwice);
      });
}

// What only this member can object to.
Status MetaServer::Validate(const pb::Change& change, const pb::ClusterConf& next) const {
  if (change.has_remove_chunkserver()) return MayRemove(change.remove_chunkserver());
  if (!change.has_move_volume()) return {};
  const pb::Change::MoveVolume& move = change.move_volume();
  if (move.owner() != member_->uuid() || move.transfer().empty() || move.transfer() == kDryTransfer ||
      images_->Find(move.transfer()) != nullptr)
    return {};
  return Status(EINVAL, fmt::format("it has no copy of volume \"{}\" of generation {}", move.name(),
                                    next.generation()));
}

// Its number is never given out again: whatever it holds would be lost.
Status MetaServer::MayRemove(const pb::Change::RemoveChunkserver& change) const {
  for (const auto& [id, s] : chunkservers_->all()) {
    if (s.uuid != change.uuid()) continue;
    const bool up = chunkservers_->IsUp(id);
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
    if (up && chunkservers_->PlacedLately(s)) {
      return Status(EBUSY,
                    fmt::format("files were just put on chunkserver {} ({}), which would be lost: see 'kfs "
                                "chunkserver status' in a moment",
                                id.v, s.address));
    }
    // One that has never been seen holds nothing, nor does one that had nothing when it was last heard of.
    const bool empty = s.address.empty() || (sees_all && s.chunks() == 0 && !chunkservers_->PlacedLately(s));
    if (!up && !change.lost() && !empty) {
      return Status(EBUSY,
                    fmt::format("chunkserver {0} ({1}) is down, and may hold chunks: start it, or give "
                                "up whatever it holds with --lost ('kfs chunkserver files {0}' lists it)",
                                id.v, s.address));
    }
  }
  return {};
}

Status MetaServer::Joined(const std::string& cluster_id) {
  KFS_RETURN_IF_ERROR(cluster_->SetClusterId(cluster_id));
  if (server_ != nullptr) server_->SetClusterId(cluster_id);
  points_->BeginAnew(PointKey(member_->credentials(), cluster_id));
  *points_told_ = PointsTold();
  return {};
}

Status MetaServer::Where(const std::string& name) const {
  const Status s = volumes_->Where(member_->conf(), member_->uuid(), name);
  if (s.err() == ENOENT && !member_->InTouch()) {  // out of the cluster, or cut off from it
    return Status(
        EAGAIN, Code::kTryAgain,
        "this metaserver does not know the volume, and cannot ask the others: most are out of reach");
  }
  return s;
}

}  // namespace kfs::meta

// What each change does to a configuration, and when it is refused.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.h"
#include "common/utf8.h"
#include "metaserver/cluster/conf_options.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/key_changes.h"
#include "metaserver/cluster/member_changes.h"

namespace kfs::meta {
namespace {

// Whoever asks whether its change was made has not been away for more changes than this.
constexpr int kRecentKept = 64;

Status CheckVolumeName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kVolumeNameMax && name.front() != '-' && name.back() != '-';
  for (char c : name)
    good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.');
  if (good && name != "." && name != "..") return {};
  return Status(EINVAL,
                fmt::format("a volume's name is 1 to {} letters, digits, '-', '_' or '.'", kVolumeNameMax));
}

Status NoVolume(const std::string& name) {
  return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", name));
}

constexpr size_t kLabelsMax = 32, kLabelMax = 64;
// Two of them fit into a message, with what goes along: what is proposed, and a whole one in a change.
constexpr size_t kConfBytesMax = 400u << 10;
static_assert(2 * kConfBytesMax + (64u << 10) < kFrameBodyMax);
constexpr int kVolumesMax = 4096, kChunkserversMax = 10000;

using Strings = google::protobuf::Map<std::string, std::string>;

Status SetLabels(const Strings& set, Strings* labels) {
  for (const auto& [name, value] : set) {
    if (name.empty() || name.size() > kLabelMax || value.empty() || value.size() > kLabelMax)
      return Status(
          EINVAL, fmt::format("label {}={}: name and value have 1 to {} characters", name, value, kLabelMax));
    if (!IsLine(name) || !IsLine(value)) return Status(EINVAL, "a label has no control characters");
    (*labels)[name] = value;
  }
  if (labels->size() > kLabelsMax) return Status(EINVAL, fmt::format("more than {} labels", kLabelsMax));
  return {};
}

// One change each; `next` is a copy of the configuration, to be edited.
// As of the configuration that is being changed: two volumes that are made at once do not go to the same one.
Result<std::string> OwnerOf(const pb::Change::CreateVolume& c, const pb::ClusterConf& conf) {
  std::vector<std::string> candidates(c.candidate().begin(), c.candidate().end());
  if (!c.owner().empty()) candidates = {c.owner()};
  if (candidates.empty()) {
    for (const pb::MemberConf& m : conf.member()) candidates.push_back(m.uuid());
  }
  for (const std::string& uuid : candidates) {
    if (FindMember(conf, uuid) == nullptr)
      return Status(ENOENT, fmt::format("the owner {} is not a member of the cluster", uuid));
  }
  return FewestVolumes(conf, candidates);
}

Status CheckLostNumber(uint32_t number, const pb::ClusterConf& conf) {
  if (const pb::VolumeConf* v = FindVolumeById(conf, number))
    return Status(EEXIST, fmt::format("number {} is that of volume \"{}\"", number, v->name()));
  if (MayBeLost(conf, number)) return {};
  return Status(
      EINVAL,
      fmt::format("no volume of number {} can have been lost with metaservers that were given up", number));
}

Status Do(const pb::Change::CreateVolume& c, pb::ClusterConf* next) {
  KFS_RETURN_IF_ERROR(CheckVolumeName(c.name()));
  if (next->volume_size() >= kVolumesMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} volumes", kVolumesMax));
  if (FindVolume(*next, c.name()) != nullptr)
    return Status(EEXIST, fmt::format("there is a volume \"{}\" already", c.name()));
  const Result<std::string> owner = OwnerOf(c, *next);
  if (!owner.ok()) return owner.status();
  if (c.replicas() != 1)
    return Status(EOPNOTSUPP,
                  fmt::format("replicas={}: this version keeps one copy of each chunk", c.replicas()));
  if (c.number() != 0) KFS_RETURN_IF_ERROR(CheckLostNumber(c.number(), *next));
  const uint64_t cs = c.chunk_size();
  if (cs < kChunkSizeMin || cs > kChunkSizeMax || (cs & (cs - 1)) != 0)
    return Status(EINVAL, "the chunk size is a power of two from 64 KiB to 1 GiB");
  pb::VolumeConf* v = next->add_volume();
  KFS_RETURN_IF_ERROR(SetLabels(c.label(), v->mutable_label()));
  v->set_created(next->time());
  v->set_name(c.name());
  SetOwner(*owner, next, v);
  if (c.number() == 0) {
    next->set_next_volume(next->next_volume() + 1);
    v->set_id(next->next_volume());
    v->set_started(true);
  } else {
    v->set_id(c.number());
    v->set_owner_incarnation(0);  // it has nothing of it
  }
  v->set_replicas(c.replicas());
  v->set_chunk_size(c.chunk_size());
  for (const auto& [name, value] : c.option()) {
    KFS_RETURN_IF_ERROR(CheckConfOption(ConfOption::Of::kVolume, name, value));
    (*v->mutable_option())[name] = value;
  }
  return {};
}

pb::VolumeConf* MutableVolume(pb::ClusterConf* conf, const std::string& name) {
  for (pb::VolumeConf& v : *conf->mutable_volume()) {
    if (v.name() == name) return &v;
  }
  return nullptr;
}

// Whoever had made it under its number has looked at it: its chunks are garbage now.
void NoLongerLost(uint32_t number, pb::ClusterConf* next) {
  if (!MayBeLost(*next, number)) return;
  std::vector<pb::ClusterConf::Numbers> ranges;
  for (const pb::ClusterConf::Numbers& n : next->lost_volume()) {
    if (number <= n.after() || number > n.to()) {
      ranges.push_back(n);
      continue;
    }
    pb::ClusterConf::Numbers below = n, above = n;
    below.set_to(number - 1);
    above.set_after(number);
    for (const auto& part : {below, above}) {
      if (part.after() < part.to()) ranges.push_back(part);
    }
  }
  next->mutable_lost_volume()->Assign(ranges.begin(), ranges.end());
}

Status DeleteVolume(const std::string& name, pb::ClusterConf* next) {
  const pb::VolumeConf* v = FindVolume(*next, name);
  if (v == nullptr) return NoVolume(name);
  if (v->started())
    return Status(EBUSY,
                  fmt::format("volume \"{}\" is started: stop it first (kfs volume stop {})", name, name));
  NoLongerLost(v->id(), next);
  RevokeKeysOf(v->id(), next);
  auto* volumes = next->mutable_volume();
  volumes->erase(std::find_if(volumes->begin(), volumes->end(),
                              [&](const pb::VolumeConf& o) { return o.name() == name; }));
  return {};
}

Status StartVolume(const std::string& name, bool started, pb::ClusterConf* next) {
  pb::VolumeConf* v = MutableVolume(next, name);
  if (v == nullptr) return NoVolume(name);
  if (v->started() == started)
    return Status(EALREADY,
                  fmt::format("volume \"{}\" is {} already", name, started ? "started" : "stopped"));
  v->set_started(started);
  return {};
}

Status Do(const pb::Change::SetOption& c, pb::ClusterConf* next) {
  auto* options = next->mutable_option();
  if (!c.volume().empty()) {
    pb::VolumeConf* v = MutableVolume(next, c.volume());
    if (v == nullptr) return NoVolume(c.volume());
    options = v->mutable_option();
  }
  const auto of = c.volume().empty() ? ConfOption::Of::kCluster : ConfOption::Of::kVolume;
  if (c.value().empty()) {
    if (options->erase(c.name()) == 0 && FindConfOption(of, c.name()) == nullptr)
      return CheckConfOption(of, c.name(), "");
  } else {
    KFS_RETURN_IF_ERROR(CheckConfOption(of, c.name(), c.value()));
    (*options)[c.name()] = c.value();
  }
  return {};
}

pb::ChunkserverConf* MutableChunkserver(pb::ClusterConf* conf, const std::string& uuid) {
  for (pb::ChunkserverConf& c : *conf->mutable_chunkserver()) {
    if (c.uuid() == uuid) return &c;
  }
  return nullptr;
}

Status NoChunkserver(const std::string& uuid) {
  return Status(ENOENT, fmt::format("there is no chunkserver {} (see: kfs chunkserver list)", uuid));
}

Status Do(const pb::Change::AddChunkserver& c, pb::ClusterConf* next) {
  if (c.uuid().empty() || c.uuid().size() > 64)
    return Status(EINVAL, Code::kMalformed, "a chunkserver has a uuid");
  pb::ChunkserverConf* there = MutableChunkserver(next, c.uuid());
  // One that came with the root secret goes over to a key of its own.
  if (there != nullptr && !c.invitation().empty() && there->invitation() != c.invitation())
    return UseInvitation(c.invitation(), /*member=*/true, there, next);
  if (there != nullptr) return Status(EEXIST, fmt::format("chunkserver {} has been added already", c.uuid()));
  if (next->chunkserver_size() >= kChunkserversMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} chunkservers", kChunkserversMax));
  next->set_next_chunkserver(next->next_chunkserver() + 1);
  pb::ChunkserverConf* added = next->add_chunkserver();
  added->set_id(next->next_chunkserver());
  added->set_uuid(c.uuid());
  if (!c.invitation().empty())
    KFS_RETURN_IF_ERROR(UseInvitation(c.invitation(), /*member=*/false, added, next));
  return SetLabels(c.label(), added->mutable_label());
}

Status Do(const pb::Change::LabelChunkserver& c, pb::ClusterConf* next) {
  pb::ChunkserverConf* server = MutableChunkserver(next, c.uuid());
  if (server == nullptr) return NoChunkserver(c.uuid());
  for (const std::string& name : c.remove()) server->mutable_label()->erase(name);
  return SetLabels(c.set(), server->mutable_label());
}

Status Do(const pb::Change::RemoveChunkserver& c, pb::ClusterConf* next) {
  auto* servers = next->mutable_chunkserver();
  auto it = std::find_if(servers->begin(), servers->end(),
                         [&](const pb::ChunkserverConf& s) { return s.uuid() == c.uuid(); });
  if (it == servers->end()) return NoChunkserver(c.uuid());
  auto* removed = next->mutable_removed_chunkserver();
  if (removed->size() >= kChunkserversMax) removed->erase(removed->begin());
  pb::ClusterConf::RemovedChunkserver* was = removed->Add();
  was->set_id(it->id());
  was->set_uuid(it->uuid());
  servers->erase(it);
  return {};
}

// It may be named before anything of it is found lost: the number is never used again.
Status Do(const pb::Change::SettleChunkserver& c, pb::ClusterConf* next) {
  if (c.id() == 0 || c.id() > next->next_chunkserver())
    return Status(ENOENT, fmt::format("there has never been a chunkserver {}", c.id()));
  for (const pb::ChunkserverConf& s : next->chunkserver()) {
    if (s.id() == c.id())
      return Status(EBUSY, fmt::format("chunkserver {} is in the cluster: nothing was lost with it", c.id()));
  }
  auto* settled = next->mutable_settled_chunkserver();
  if (std::find(settled->begin(), settled->end(), c.id()) != settled->end()) return {};
  if (settled->size() >= kChunkserversMax) settled->erase(settled->begin());
  settled->Add(c.id());
  return {};
}

Status Do(const pb::Change::MoveVolume& c, pb::ClusterConf* next) {
  pb::VolumeConf* v = MutableVolume(next, c.name());
  if (v == nullptr) return NoVolume(c.name());
  if (FindMember(*next, c.owner()) == nullptr)
    return Status(ENOENT, fmt::format("{} is not a member of the cluster", c.owner()));
  if (c.epoch() != v->epoch()) {
    return Status(ESTALE, fmt::format("volume \"{}\" has changed hands since: its epoch is {}, not {}",
                                      c.name(), v->epoch(), c.epoch()));
  }
  if (c.restore()) {
    if (v->owner() != c.owner() || c.transfer().empty())
      return Status(EINVAL, Code::kMalformed, "a volume is restored by its owner, with a copy");
    if (v->started()) {
      return Status(EBUSY, fmt::format("volume \"{}\" is started: stop it first (kfs volume stop {})",
                                       c.name(), c.name()));
    }
  } else if (c.transfer().empty() != (v->owner() == c.owner())) {
    // Without a copy only the owner itself can go on.
    return v->owner() == c.owner()
               ? Status(EALREADY,
                        fmt::format("{} serves volume \"{}\" already", NameOf(*next, c.owner()), c.name()))
               : Status(EINVAL,
                        fmt::format("{} has no copy of volume \"{}\"", NameOf(*next, c.owner()), c.name()));
  }
  v->set_transfer(c.transfer());
  v->set_from_epoch(v->epoch());
  v->set_restored(c.restore());
  SetOwner(c.owner(), next, v);
  return {};
}

Status Do(const pb::Change::Revert& c, pb::ClusterConf* next) {
  *next->mutable_option() = c.to().option();
  for (const pb::VolumeConf& then : c.to().volume()) {
    pb::VolumeConf* now = MutableVolume(next, then.name());
    if (now == nullptr || now->id() != then.id()) continue;
    *now->mutable_option() = then.option();
    *now->mutable_label() = then.label();
    now->set_started(then.started());
  }
  for (const pb::ChunkserverConf& then : c.to().chunkserver()) {
    if (pb::ChunkserverConf* now = MutableChunkserver(next, then.uuid()))
      *now->mutable_label() = then.label();
  }
  return {};
}

Status Do(const pb::Change& change, pb::ClusterConf* next) {
  switch (change.what_case()) {
    case pb::Change::kAddMember:
      return meta::Do(change.add_member(), next);
    case pb::Change::kRemoveMember:
      return meta::Do(change.remove_member(), next);
    case pb::Change::kGiveUpMembers:
      return meta::Do(change.give_up_members(), next);
    case pb::Change::kReadmit:
      return meta::Do(change.readmit(), next);
    case pb::Change::kSetAddress:
      return meta::Do(change.set_address(), next);
    case pb::Change::kCreateVolume:
      return Do(change.create_volume(), next);
    case pb::Change::kDeleteVolume:
      return DeleteVolume(change.delete_volume().name(), next);
    case pb::Change::kStartVolume:
      return StartVolume(change.start_volume().name(), true, next);
    case pb::Change::kStopVolume:
      return StartVolume(change.stop_volume().name(), false, next);
    case pb::Change::kSetOption:
      return Do(change.set_option(), next);
    case pb::Change::kAddChunkserver:
      return Do(change.add_chunkserver(), next);
    case pb::Change::kLabelChunkserver:
      return Do(change.label_chunkserver(), next);
    case pb::Change::kRemoveChunkserver:
      return Do(change.remove_chunkserver(), next);
    case pb::Change::kSettleChunkserver:
      return Do(change.settle_chunkserver(), next);
    case pb::Change::kMoveVolume:
      return Do(change.move_volume(), next);
    case pb::Change::kRevert:
      return Do(change.revert(), next);
    case pb::Change::kAddKey:
      return meta::Do(change.add_key(), next);
    case pb::Change::kRevokeKey:
      return meta::Do(change.revoke_key(), next);
    case pb::Change::WHAT_NOT_SET:
      break;
  }
  return Status(EINVAL, Code::kMalformed, "this version does not know the change asked for");
}

// Two configurations, but for how they came to be.
bool SameContent(const pb::ClusterConf& before, pb::ClusterConf next) {
  next.set_generation(before.generation());
  next.set_follows(before.follows());
  next.set_time(before.time());
  next.set_originator(before.originator());
  return Same(before, next);
}

}  // namespace

Result<pb::ClusterConf> Apply(const pb::ClusterConf& conf, const pb::Change& change,
                              const std::string& transaction, const std::string& command) {
  pb::ClusterConf next = conf;
  next.set_generation(conf.generation() + 1);
  next.set_time(change.time());
  next.set_originator(change.originator());
  next.clear_follows();
  KFS_RETURN_IF_ERROR(Do(change, &next));
  if (SameContent(conf, next))
    return Status(EALREADY, Code::kAlreadySo, "it is so already: nothing was changed");
  if (const size_t size = next.ByteSizeLong(); size > kConfBytesMax && size > conf.ByteSizeLong()) {
    return Status(ENOSPC,
                  fmt::format("the configuration would take {} KiB, of {} that there may be: remove options, "
                              "labels, keys, volumes or chunkservers that are not needed",
                              size >> 10, kConfBytesMax >> 10));
  }
  next.set_transaction(transaction);
  next.set_command(command);
  next.add_recent(transaction);
  if (next.recent_size() > kRecentKept)
    next.mutable_recent()->DeleteSubrange(0, next.recent_size() - kRecentKept);
  return next;
}

}  // namespace kfs::meta

#include "metaserver/cluster/configuration.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/limits.h"
#include "metaserver/cluster/conf_options.h"

namespace kfs::meta {
namespace {

// Whoever asks whether its change was made has not been away for more changes than this.
constexpr int kRecentKept = 64;

// Maps have no order of their own on the wire.
std::string Canonical(const google::protobuf::MessageLite& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

std::map<std::string, std::string> OptionsOf(const google::protobuf::Map<std::string, std::string>& options) {
  return {options.begin(), options.end()};
}

void DifferentOptions(const std::string& of, const google::protobuf::Map<std::string, std::string>& from,
                      const google::protobuf::Map<std::string, std::string>& to,
                      std::vector<std::string>* out, std::string_view kind = "option",
                      std::string_view unset = "default") {
  const auto before = OptionsOf(from), after = OptionsOf(to);
  for (const auto& [name, value] : before) {
    auto it = after.find(name);
    if (it == after.end()) {
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, value, unset));
    } else if (it->second != value) {
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, value, it->second));
    }
  }
  for (const auto& [name, value] : after) {
    if (!before.contains(name))
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, unset, value));
  }
}

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
constexpr int kVolumesMax = 4096, kChunkserversMax = 10000, kMembersMax = 15;

using Strings = google::protobuf::Map<std::string, std::string>;

Status SetLabels(const Strings& set, Strings* labels) {
  for (const auto& [name, value] : set) {
    if (name.empty() || name.size() > kLabelMax || value.empty() || value.size() > kLabelMax)
      return Status(
          EINVAL, fmt::format("label {}={}: name and value have 1 to {} characters", name, value, kLabelMax));
    (*labels)[name] = value;
  }
  if (labels->size() > kLabelsMax) return Status(EINVAL, fmt::format("more than {} labels", kLabelsMax));
  return {};
}

// One change each; `next` is a copy of the configuration, to be edited.
Status Do(const pb::Change::AddMember& c, pb::ClusterConf* next) {
  const pb::MemberConf& m = c.member();
  if (m.uuid().empty() || m.address().empty())
    return Status(EINVAL, Code::kMalformed, "a member needs a uuid and an address");
  for (const pb::MemberConf& other : next->member()) {
    if (other.uuid() == m.uuid())
      return Status(EEXIST, fmt::format("{} is a member already", other.address()));
    if (other.address() == m.address())
      return Status(EEXIST, fmt::format("the address {} belongs to another member", m.address()));
  }
  if (next->member_size() >= kMembersMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} metaservers", kMembersMax));
  pb::MemberConf* added = next->add_member();
  *added = m;
  added->set_votes_from(next->generation());
  return {};
}

Status Do(const pb::Change::RemoveMember& c, pb::ClusterConf* next) {
  if (FindMember(*next, c.uuid()) == nullptr)
    return Status(ENOENT, fmt::format("{} is not a member", c.uuid()));
  if (next->member_size() == 1)
    return Status(EBUSY, "the last member cannot be detached: there would be no cluster left");
  for (const pb::VolumeConf& v : next->volume()) {
    if (v.owner() == c.uuid()) {
      return Status(EBUSY, fmt::format("{} owns volume \"{}\": move it first (kfs volume move {} PEER)",
                                       NameOf(*next, c.uuid()), v.name(), v.name()));
    }
  }
  auto* members = next->mutable_member();
  members->erase(std::find_if(members->begin(), members->end(),
                              [&](const pb::MemberConf& m) { return m.uuid() == c.uuid(); }));
  return {};
}

pb::MemberConf* MutableMember(pb::ClusterConf* conf, const std::string& uuid) {
  for (pb::MemberConf& m : *conf->mutable_member()) {
    if (m.uuid() == uuid) return &m;
  }
  return nullptr;
}

Status Do(const pb::Change::Readmit& c, pb::ClusterConf* next) {
  pb::MemberConf* m = MutableMember(next, c.uuid());
  if (m == nullptr) return Status(ENOENT, fmt::format("{} is not a member: probe it", c.uuid()));
  if (c.incarnation() <= m->incarnation())
    return Status(EINVAL, fmt::format("{} has not lost its state", m->address()));
  m->set_incarnation(c.incarnation());
  m->set_votes_from(next->generation());
  return {};
}

Status Do(const pb::Change::SetAddress& c, pb::ClusterConf* next) {
  for (const pb::MemberConf& m : next->member()) {
    if (m.address() == c.address() && m.uuid() != c.uuid())
      return Status(EEXIST, fmt::format("the address {} belongs to another member", c.address()));
  }
  pb::MemberConf* m = MutableMember(next, c.uuid());
  if (m == nullptr) return Status(ENOENT, fmt::format("{} is not a member", c.uuid()));
  if (c.address().empty()) return Status(EINVAL, "an address is needed (HOST:PORT)");
  m->set_address(c.address());
  return {};
}

// REQUIRES: it is a member.
void SetOwner(const std::string& uuid, pb::ClusterConf* next, pb::VolumeConf* v) {
  v->set_owner(uuid);
  v->set_owner_incarnation(FindMember(*next, uuid)->incarnation());
  v->set_epoch(next->generation());
}

Status Do(const pb::Change::CreateVolume& c, pb::ClusterConf* next) {
  KFS_RETURN_IF_ERROR(CheckVolumeName(c.name()));
  if (next->volume_size() >= kVolumesMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} volumes", kVolumesMax));
  if (FindVolume(*next, c.name()) != nullptr)
    return Status(EEXIST, fmt::format("there is a volume \"{}\" already", c.name()));
  if (FindMember(*next, c.owner()) == nullptr)
    return Status(ENOENT, fmt::format("the owner {} is not a member of the cluster", c.owner()));
  if (c.replicas() != 1)
    return Status(EOPNOTSUPP,
                  fmt::format("replicas={}: this version keeps one copy of each chunk", c.replicas()));
  const uint64_t cs = c.chunk_size();
  if (cs < kChunkSizeMin || cs > kChunkSizeMax || (cs & (cs - 1)) != 0)
    return Status(EINVAL, "the chunk size is a power of two from 64 KiB to 1 GiB");
  pb::VolumeConf* v = next->add_volume();
  KFS_RETURN_IF_ERROR(SetLabels(c.label(), v->mutable_label()));
  v->set_created(next->time());
  next->set_next_volume(next->next_volume() + 1);
  v->set_id(next->next_volume());
  v->set_name(c.name());
  SetOwner(c.owner(), next, v);
  v->set_started(true);
  v->set_replicas(c.replicas());
  v->set_chunk_size(c.chunk_size());
  return {};
}

pb::VolumeConf* MutableVolume(pb::ClusterConf* conf, const std::string& name) {
  for (pb::VolumeConf& v : *conf->mutable_volume()) {
    if (v.name() == name) return &v;
  }
  return nullptr;
}

Status DeleteVolume(const std::string& name, pb::ClusterConf* next) {
  const pb::VolumeConf* v = FindVolume(*next, name);
  if (v == nullptr) return NoVolume(name);
  if (v->started())
    return Status(EBUSY,
                  fmt::format("volume \"{}\" is started: stop it first (kfs volume stop {})", name, name));
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
  if (MutableChunkserver(next, c.uuid()) != nullptr)
    return Status(EEXIST, fmt::format("chunkserver {} has been added already", c.uuid()));
  if (next->chunkserver_size() >= kChunkserversMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} chunkservers", kChunkserversMax));
  next->set_next_chunkserver(next->next_chunkserver() + 1);
  pb::ChunkserverConf* added = next->add_chunkserver();
  added->set_id(next->next_chunkserver());
  added->set_uuid(c.uuid());
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
  servers->erase(it);
  return {};
}

Status Do(const pb::Change::MoveVolume& c, pb::ClusterConf* next) {
  pb::VolumeConf* v = MutableVolume(next, c.name());
  if (v == nullptr) return NoVolume(c.name());
  if (FindMember(*next, c.owner()) == nullptr)
    return Status(ENOENT, fmt::format("{} is not a member of the cluster", c.owner()));
  if (v->owner() == c.owner())
    return Status(EALREADY,
                  fmt::format("{} serves volume \"{}\" already", NameOf(*next, c.owner()), c.name()));
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
      return Do(change.add_member(), next);
    case pb::Change::kRemoveMember:
      return Do(change.remove_member(), next);
    case pb::Change::kReadmit:
      return Do(change.readmit(), next);
    case pb::Change::kSetAddress:
      return Do(change.set_address(), next);
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
    case pb::Change::kMoveVolume:
      return Do(change.move_volume(), next);
    case pb::Change::kRevert:
      return Do(change.revert(), next);
    case pb::Change::WHAT_NOT_SET:
      break;
  }
  return Status(EINVAL, Code::kMalformed, "this version does not know the change asked for");
}

}  // namespace

std::string Checksum(const pb::ClusterConf& conf) {
  const std::string bytes = Canonical(conf);
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

bool Same(const pb::ClusterConf& a, const pb::ClusterConf& b) { return Canonical(a) == Canonical(b); }

const pb::MemberConf* FindMember(const pb::ClusterConf& conf, const std::string& uuid) {
  for (const pb::MemberConf& m : conf.member()) {
    if (m.uuid() == uuid) return &m;
  }
  return nullptr;
}

const pb::VolumeConf* FindVolume(const pb::ClusterConf& conf, const std::string& name) {
  for (const pb::VolumeConf& v : conf.volume()) {
    if (v.name() == name) return &v;
  }
  return nullptr;
}

std::string NameOf(const pb::ClusterConf& conf, const std::string& uuid) {
  const pb::MemberConf* m = FindMember(conf, uuid);
  return m == nullptr ? uuid : m->address();
}

size_t Majority(const pb::ClusterConf& conf) { return static_cast<size_t>(conf.member_size()) / 2 + 1; }

bool HasVote(const pb::ClusterConf& conf, const std::string& uuid, uint64_t incarnation) {
  const pb::MemberConf* m = FindMember(conf, uuid);
  return m != nullptr && m->incarnation() == incarnation && m->votes_from() <= conf.generation();
}

Result<pb::ClusterConf> Apply(const pb::ClusterConf& conf, const pb::Change& change,
                              const std::string& transaction, const std::string& command) {
  pb::ClusterConf next = conf;
  next.set_generation(conf.generation() + 1);
  next.set_time(change.time());
  next.set_originator(change.originator());
  KFS_RETURN_IF_ERROR(Do(change, &next));
  next.set_transaction(transaction);
  next.set_command(command);
  next.add_recent(transaction);
  if (next.recent_size() > kRecentKept)
    next.mutable_recent()->DeleteSubrange(0, next.recent_size() - kRecentKept);
  return next;
}

namespace {

void DifferentChunkservers(const pb::ClusterConf& from, const pb::ClusterConf& to,
                           std::vector<std::string>* out) {
  std::map<uint64_t, const pb::ChunkserverConf*> before;
  for (const pb::ChunkserverConf& c : from.chunkserver()) before[c.id()] = &c;
  for (const pb::ChunkserverConf& c : to.chunkserver()) {
    const std::string of = fmt::format("chunkserver {}: ", c.id());
    auto it = before.find(c.id());
    if (it == before.end()) {
      out->push_back(of + "added");
      continue;
    }
    DifferentOptions(of, it->second->label(), c.label(), out, "label", "none");
    before.erase(it);
  }
  for (const auto& [id, c] : before) out->push_back(fmt::format("chunkserver {}: removed", id));
}

}  // namespace

std::vector<std::string> Differences(const pb::ClusterConf& from, const pb::ClusterConf& to) {
  std::vector<std::string> out;
  for (const pb::MemberConf& m : from.member()) {
    const pb::MemberConf* now = FindMember(to, m.uuid());
    if (now == nullptr) {
      out.push_back(fmt::format("peer {}: detached", m.address()));
      continue;
    }
    if (now->address() != m.address())
      out.push_back(fmt::format("peer {}: address -> {}", m.address(), now->address()));
    if (now->incarnation() != m.incarnation())
      out.push_back(fmt::format("peer {}: readmitted (incarnation {})", m.address(), now->incarnation()));
  }
  for (const pb::MemberConf& m : to.member()) {
    if (FindMember(from, m.uuid()) == nullptr) out.push_back(fmt::format("peer {}: added", m.address()));
  }
  for (const pb::VolumeConf& v : from.volume()) {
    const pb::VolumeConf* now = FindVolume(to, v.name());
    if (now == nullptr || now->id() != v.id()) {
      out.push_back(fmt::format("volume {}: deleted", v.name()));
      continue;
    }
    const std::string of = fmt::format("volume {}: ", v.name());
    if (now->started() != v.started()) out.push_back(of + (now->started() ? "started" : "stopped"));
    if (now->owner() != v.owner())
      out.push_back(fmt::format("{}owner: {} -> {}", of, NameOf(from, v.owner()), NameOf(to, now->owner())));
    DifferentOptions(of, v.option(), now->option(), &out);
    DifferentOptions(of, v.label(), now->label(), &out, "label", "none");
  }
  for (const pb::VolumeConf& v : to.volume()) {
    const pb::VolumeConf* before = FindVolume(from, v.name());
    if (before == nullptr || before->id() != v.id())
      out.push_back(fmt::format("volume {}: created, owner {}", v.name(), NameOf(to, v.owner())));
  }
  DifferentChunkservers(from, to, &out);
  DifferentOptions("", from.option(), to.option(), &out);
  return out;
}

}  // namespace kfs::meta

#include "metaserver/cluster/configuration.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/limits.h"

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
                      std::vector<std::string>* out) {
  const auto before = OptionsOf(from), after = OptionsOf(to);
  for (const auto& [name, value] : before) {
    auto it = after.find(name);
    if (it == after.end()) {
      out->push_back(fmt::format("{}option {}: {} -> default", of, name, value));
    } else if (it->second != value) {
      out->push_back(fmt::format("{}option {}: {} -> {}", of, name, value, it->second));
    }
  }
  for (const auto& [name, value] : after) {
    if (!before.contains(name)) out->push_back(fmt::format("{}option {}: default -> {}", of, name, value));
  }
}

Status NoVolume(const std::string& name) {
  return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", name));
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

Status Do(const pb::Change::CreateVolume& c, pb::ClusterConf* next) {
  if (c.name().empty() || c.name().size() > kVolumeNameMax)
    return Status(EINVAL, fmt::format("a volume's name has 1 to {} characters", kVolumeNameMax));
  if (FindVolume(*next, c.name()) != nullptr)
    return Status(EEXIST, fmt::format("there is a volume \"{}\" already", c.name()));
  if (FindMember(*next, c.owner()) == nullptr)
    return Status(ENOENT, fmt::format("the owner {} is not a member of the cluster", c.owner()));
  if (c.replicas() != 1)
    return Status(EOPNOTSUPP,
                  fmt::format("replicas={}: this version keeps one copy of each chunk", c.replicas()));
  pb::VolumeConf* v = next->add_volume();
  next->set_next_volume(next->next_volume() + 1);
  v->set_id(next->next_volume());
  v->set_name(c.name());
  v->set_owner(c.owner());
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
  if (c.name().empty()) return Status(EINVAL, "an option needs a name");
  if (c.value().empty()) {
    options->erase(c.name());
  } else {
    (*options)[c.name()] = c.value();
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
  KFS_RETURN_IF_ERROR(Do(change, &next));
  next.set_transaction(transaction);
  next.set_command(command);
  next.add_recent(transaction);
  if (next.recent_size() > kRecentKept)
    next.mutable_recent()->DeleteSubrange(0, next.recent_size() - kRecentKept);
  return next;
}

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
  }
  for (const pb::VolumeConf& v : to.volume()) {
    const pb::VolumeConf* before = FindVolume(from, v.name());
    if (before == nullptr || before->id() != v.id())
      out.push_back(fmt::format("volume {}: created, owner {}", v.name(), NameOf(to, v.owner())));
  }
  DifferentOptions("", from.option(), to.option(), &out);
  return out;
}

}  // namespace kfs::meta

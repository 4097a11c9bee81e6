#include "metaserver/cluster/member_changes.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"

namespace kfs::meta {
namespace {

constexpr int kMembersMax = 15;

void EraseMember(const std::string& uuid, pb::ClusterConf* next) {
  auto* members = next->mutable_member();
  members->erase(std::find_if(members->begin(), members->end(),
                              [&](const pb::MemberConf& m) { return m.uuid() == uuid; }));
}

pb::MemberConf* MutableMember(pb::ClusterConf* conf, const std::string& uuid) {
  for (pb::MemberConf& m : *conf->mutable_member()) {
    if (m.uuid() == uuid) return &m;
  }
  return nullptr;
}

std::vector<std::string> UuidsOf(const pb::ClusterConf& conf) {
  std::vector<std::string> out;
  for (const pb::MemberConf& m : conf.member()) out.push_back(m.uuid());
  return out;
}

// Those who are lost may have given out some that nobody else has heard of.
void SkipNumbers(pb::ClusterConf* next) {
  pb::ClusterConf::Numbers* lost = next->add_lost_volume();
  lost->set_after(next->next_volume());
  lost->set_to(next->next_volume() + kNumbersSkipped);
  next->set_next_volume(lost->to());
  next->set_next_chunkserver(next->next_chunkserver() + kNumbersSkipped);
  next->set_next_key(next->next_key() + kNumbersSkipped);
}

}  // namespace

void ChooseAmong(const std::set<std::string>& there, const pb::ClusterConf& conf, pb::Change* change) {
  const auto narrow = [&there](std::vector<std::string> from, auto* candidates) {
    const size_t all = from.size();
    std::erase_if(from, [&](const std::string& uuid) { return !there.contains(uuid); });
    // Where nothing is to be told apart the change stays as it was, for members that do not know this.
    if (!from.empty() && from.size() < all) candidates->Assign(from.begin(), from.end());
  };
  if (change->has_create_volume()) {
    pb::Change::CreateVolume* c = change->mutable_create_volume();
    if (!c->owner().empty()) return;
    const std::vector<std::string> named(c->candidate().begin(), c->candidate().end());
    narrow(named.empty() ? UuidsOf(conf) : named, c->mutable_candidate());
  } else if (change->has_give_up_members()) {
    pb::Change::GiveUpMembers* c = change->mutable_give_up_members();
    std::vector<std::string> left = UuidsOf(conf);
    std::erase_if(left, [&](const std::string& uuid) {
      return std::find(c->uuid().begin(), c->uuid().end(), uuid) != c->uuid().end();
    });
    narrow(left, c->mutable_candidate());
  }
}

void SetOwner(const std::string& uuid, pb::ClusterConf* next, pb::VolumeConf* v) {
  v->set_owner(uuid);
  v->set_owner_incarnation(FindMember(*next, uuid)->incarnation());
  v->set_epoch(next->generation());
}

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
      return Status(
          EBUSY,
          fmt::format(
              "{} owns volume \"{}\": let another one serve it first (kfs volume move {} PEER); if its "
              "disk is lost, give it up (kfs peer detach --lost)",
              NameOf(*next, c.uuid()), v.name(), v.name()));
    }
  }
  EraseMember(c.uuid(), next);
  return {};
}

Status Do(const pb::Change::GiveUpMembers& c, pb::ClusterConf* next) {
  const size_t majority = Majority(*next);
  for (const std::string& uuid : c.uuid()) {
    if (FindMember(*next, uuid) == nullptr)
      return Status(ENOENT, fmt::format("{} is not a member (any more)", uuid));
    if (uuid == next->originator()) return Status(EINVAL, "this metaserver itself is asked: it is not lost");
    EraseMember(uuid, next);
  }
  if (c.uuid().empty()) return Status(EINVAL, Code::kMalformed, "nobody is named");
  const std::vector<std::string> left = UuidsOf(*next);
  if (left.empty()) return Status(EBUSY, "there would be no metaserver left");
  const std::vector<std::string> named(c.candidate().begin(), c.candidate().end());
  for (const std::string& uuid : named) {
    if (FindMember(*next, uuid) == nullptr)
      return Status(EINVAL, Code::kMalformed, "its volumes would go to one that is no member");
  }
  next->set_follows(next->generation() - 1);
  next->set_generation(next->generation() + kGiveUpSkips);
  if (left.size() < majority) SkipNumbers(next);
  for (pb::VolumeConf& v : *next->mutable_volume()) {
    if (FindMember(*next, v.owner()) != nullptr) continue;
    SetOwner(FewestVolumes(*next, named.empty() ? left : named), next, &v);
    v.set_owner_incarnation(0);  // it has nothing of it
    v.clear_transfer();
    v.clear_from_epoch();
    v.clear_restored();
  }
  return {};
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

}  // namespace kfs::meta

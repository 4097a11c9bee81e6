// What must hold after every event, and once all is well again.
#include <fmt/format.h>

#include "cluster_world.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::sim {
namespace {

// How it came to an event that it has no row for.
std::string StepsTo(const meta::TransitionLog& log) {
  std::string out;
  for (const auto& e : log.entries()) out += fmt::format("{} --{}--> {}; ", e.from, e.event, e.to);
  return out;
}

}  // namespace

// The newest decided configuration, as far as anybody has it on disk.
const pb::ClusterConf& World::Newest() const {
  const pb::ClusterConf* newest = &machines_[0]->disk.conf();
  for (const auto& m : machines_) {
    if (!Alone(*m) && m->disk.conf().generation() > newest->generation()) newest = &m->disk.conf();
  }
  return *newest;
}

// Whoever is a member is a friend of every other one, and knows nothing of those that are not; whoever is not
// knows that.
void World::CheckFriends() {
  const pb::ClusterConf& conf = Newest();
  for (const auto& m : machines_) {
    const bool member = meta::FindMember(conf, m->uuid) != nullptr;
    // One that has been detached and has lost its state besides is nobody: there is nothing to tell it.
    if (!member && (Alone(*m) || m->disk.conf().generation() == 0)) continue;
    if (member == !m->node->detached().empty())
      Break(m->uuid + (member ? " believes that it was detached" : " does not know that it was detached"));
    if (!member) continue;
    const std::vector<meta::PeerView> peers = m->node->Peers();
    if (peers.size() + 1 != static_cast<size_t>(conf.member_size()))
      Break(fmt::format("{} has {} peers of {}", m->uuid, peers.size(), conf.member_size() - 1));
    for (const meta::PeerView& p : peers) {
      if (p.state != meta::FriendState::kBefriended || !p.connected)
        Break(fmt::format("{} stays in '{}' with {}: {}", m->uuid, meta::NameOf(p.state), p.uuid, p.reason));
      if (p.log->unexpected() != 0)
        Break(fmt::format("{}: an event without a row, of {}: {}", m->uuid, p.uuid, StepsTo(*p.log)));
    }
  }
}

void World::Stored(const pb::MemberRecord& before, const pb::MemberRecord& after) {
  if (after.conf().cluster_id() != kCluster) return;
  const uint64_t known = witness_.generations();
  if (std::string broken = witness_.Stored(before, after); !broken.empty()) Break(broken);
  const pb::ClusterConf& conf = after.conf();
  if (witness_.generations() == known) return;
  ++counts_.generations;
  Tell(fmt::format("{} learns generation {} \"{}\" {}", after.uuid(), conf.generation(), conf.command(),
                   conf.transaction()));
}

void World::CheckLock(Machine& m) {
  if (m.node == nullptr || m.node->participant().lock_holder().empty()) return;
  if (m.node->participant().lock_until() - m.Now() > meta::Originator::kLease + std::chrono::milliseconds(1))
    Break(m.uuid + ": a lock outlives its lease");
}

bool World::Settled() {
  // Locks of the dead run out, what is undecided is finished, who was away catches up.
  if (!Run(std::chrono::seconds(60))) return false;
  for (auto& m : machines_) {
    if (Alone(*m) && meta::FindMember(Newest(), m->uuid) != nullptr) Adopt(*m, Newest());
  }
  if (!Run(std::chrono::seconds(10))) return false;
  const auto all_equal = [this] {
    for (auto& m : machines_) {
      if (meta::FindMember(Newest(), m->uuid) != nullptr &&
          m->disk.conf().generation() != Newest().generation())
        return false;
    }
    return true;
  };
  if (!all_equal()) Break("members do not catch up");
  CheckFriends();
  for (auto& m : machines_) {
    if (!m->node->participant().lock_holder().empty()) Break(m->uuid + ": a lock is still held");
    if (!m->node->transactions().empty()) Break(m->uuid + ": a command is never answered");
    if (meta::FindMember(Newest(), m->uuid) != nullptr && m->node->acceptor().accepted().counter() != 0)
      Break(m->uuid + ": a change stays undecided");
  }
  for (auto& m : machines_) {
    const pb::MemberConf* known = meta::FindMember(Newest(), m->uuid);
    if (known == nullptr || known->incarnation() >= m->disk.incarnation()) continue;
    // Several detachments at once can leave no majority without it: then it is given up.
    const bool majority = Members().size() >= meta::Majority(Newest());
    meta::Command command;
    command.words = (majority ? "readmit " : "give up ") + m->uuid;
    if (majority) {
      command.change.mutable_readmit()->set_uuid(m->uuid);
      command.change.mutable_readmit()->set_incarnation(m->disk.incarnation());
    } else {
      command.change.mutable_give_up_members()->add_uuid(m->uuid);
      std::vector<const pb::MemberRecord*> left;
      for (const Machine* voter : Members()) left.push_back(&voter->disk);
      witness_.Lost(left);
    }
    for (auto& o : machines_) {
      if (o != m && meta::HasVote(o->disk.conf(), o->uuid, o->disk.incarnation())) {
        command.change.set_originator(o->uuid);
        Submit(*o, command);
        break;
      }
    }
    if (!Run(std::chrono::seconds(10))) return false;
  }
  for (auto& m : machines_) {
    if (meta::FindMember(Newest(), m->uuid) == nullptr) continue;
    const uint64_t before = counts_.done;
    meta::Command command;
    command.words = "last";
    command.change.mutable_set_option()->set_name("user.last");
    command.change.mutable_set_option()->set_value(m->uuid);
    Submit(*m, command);
    if (!Run(std::chrono::seconds(10))) return false;
    if (counts_.done != before + 1) Break(m->uuid + " cannot change anything although all is well");
  }
  if (!all_equal()) Break("members do not agree in the end");
  CheckFriends();
  if (std::string broken = witness_.InTheEnd(); !broken.empty()) Break(broken);
  return broken_.empty();
}

}  // namespace kfs::sim

// Some members are lost for good, often most of them, and those that are left give them up. Afterwards some
// turn up all the same.
#include <fmt/format.h>

#include <algorithm>

#include "cluster_world.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::sim {

std::vector<Machine*> World::Members() const {
  std::vector<Machine*> out;
  for (const auto& m : machines_) {
    if (!Alone(*m) && meta::HasVote(Newest(), m->uuid, m->disk.incarnation())) out.push_back(m.get());
  }
  return out;
}

bool World::Disaster() {
  std::vector<Machine*> left = Members();
  std::shuffle(left.begin(), left.end(), random_);
  if (left.size() < 2) return true;
  // Often those that have missed what the others have decided last.
  if (random_() % 2 == 0) {
    std::stable_sort(left.begin(), left.end(), [](const Machine* a, const Machine* b) {
      return a->disk.conf().generation() < b->disk.conf().generation();
    });
  }
  left.resize(1 + random_() % (left.size() - 1));
  std::set<std::string> uuids;
  for (const Machine* m : left) uuids.insert(m->uuid);
  // A detachment of one that is left, accepted and perhaps decided, would be finished first: then it is out,
  // and there may be nobody left.
  for (const Machine* m : left) {
    if (m->disk.round() != m->disk.conf().generation() + 1 || m->disk.accepted().counter() == 0) continue;
    for (const std::string& uuid : uuids) {
      if (meta::FindMember(m->disk.accepted_value(), uuid) == nullptr) return true;
    }
  }
  for (auto& m : machines_) {
    if (Alone(*m) || uuids.contains(m->uuid)) continue;
    Tell(m->uuid + " is lost for good");
    Stop(*m);
    m->lost = true;
    lost_.push_back(std::move(m));
  }
  std::erase(machines_, nullptr);
  Heal();
  // What they had sent arrives, and their locks run out.
  if (!Run(std::chrono::seconds(20))) return false;
  // One that has lost its state, and whose readmission only the lost knew of, can decide on nothing
  // (docs/cluster.md).
  std::vector<const pb::MemberRecord*> records;
  for (const Machine* m : left) {
    records.push_back(&m->disk);
    over_ |= !meta::HasVote(m->disk.conf(), m->uuid, m->disk.incarnation());
  }
  if (over_) return broken_.empty();
  witness_.Lost(records);
  for (int tries = 0; tries < 10; ++tries) {
    Machine& asked = *left[random_() % left.size()];
    // A detachment that came late, from one that is lost now.
    over_ = std::all_of(left.begin(), left.end(),
                        [](const Machine* m) { return m->node != nullptr && !m->node->detached().empty(); });
    if (over_) return broken_.empty();
    if (asked.node == nullptr || !asked.node->detached().empty()) continue;
    const pb::ClusterConf& conf = asked.node->acceptor().conf();
    meta::Command command;
    command.words = "give up";
    for (const pb::MemberConf& m : conf.member()) {
      if (!uuids.contains(m.uuid())) command.change.mutable_give_up_members()->add_uuid(m.uuid());
    }
    if (command.change.give_up_members().uuid().empty()) break;  // done
    command.change.set_originator(asked.uuid);
    Submit(asked, command);
    if (!Run(std::chrono::seconds(25))) return false;
    if (tries == 9) Break("those that are lost cannot be given up");
  }
  // Never a majority of what they know: that would decide once more before it hears that it is out, which is
  // as it should be, but not what the witness expects.
  size_t more = 0;
  for (auto& m : lost_) more = std::max(more, meta::Majority(m->disk.conf()) - 1);
  for (auto& m : lost_) {
    // What has lost its state besides is nobody.
    if (m->disk.conf().generation() == 0 || random_() % 2 == 0 || more == 0) continue;
    --more;
    Tell(m->uuid + " turns up");
    m->lost = false;
    Start(*m);
    machines_.push_back(std::move(m));
  }
  std::erase(lost_, nullptr);
  return broken_.empty();
}

}  // namespace kfs::sim

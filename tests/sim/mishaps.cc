// What happens to machines and links: they die and come back, are cut off, or lose what they had.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cluster_world.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::sim {

void World::Start(Machine& m, const pb::MemberRecord* becomes) {
  if (m.lost) return;
  ++m.life;
  m.node = std::make_unique<meta::ClusterNode>(m, m);
  Tell(fmt::format("{} starts at generation {}", m.uuid, m.node->acceptor().generation()));
  if (becomes != nullptr) On(m, m.life, [&](meta::ClusterNode& node) { node.acceptor().Become(*becomes); });
  if (m.node != nullptr) Tick(m, m.life);
}

void World::Stop(Machine& m, bool for_long) {
  if (m.node == nullptr) return;
  ++counts_.crashes;
  m.node.reset();
  m.EndWrites();
  // Back at once, after about as long as a lock lives, or when others have long gone on.
  const uint64_t kind = for_long ? 7 : random_() % 8;
  At(Between(0, kind < 4   ? 100
                : kind < 7 ? 6000
                           : 20000) *
         kMs,
     [this, &m] {
       if (m.node == nullptr) Start(m);
     });
}

void World::Tick(Machine& m, uint64_t life) {
  On(m, life, [](meta::ClusterNode& node) { node.OnTimer(); });
  At(50 * kMs, [this, &m, life] {
    if (m.life == life && m.node != nullptr) Tick(m, life);
  });
}

void World::Mishaps() {
  if (healed_) return;
  At(100 * kMs, [this] { Mishaps(); });
  Machine& m = *machines_[random_() % machines_.size()];
  if (Chance(faults_.crash_each_s / 10)) {
    Tell(m.uuid + " is killed");
    Stop(m);
  }
  if (Chance(faults_.cut_each_s / 10)) Cut();
  if (Chance(faults_.hold_each_s / 10)) {
    const int64_t time = Between(500, 9000);
    Tell(fmt::format("what {} sends leaves in {} ms", m.uuid, time));
    m.held_until = now_ + time * kMs;
  }
  if (Chance(faults_.full_each_s / 10)) {
    const int64_t time = Between(500, 9000);
    Tell(fmt::format("the disk of {} is full for {} ms", m.uuid, time));
    m.full_until = now_ + time * kMs;
  }
  if (Chance(faults_.wipe_each_s / 10)) {
    // One at a time: a cluster that loses the state of a majority is lost.
    for (auto& o : machines_) {
      if (!meta::HasVote(o->disk.conf(), o->uuid, o->disk.incarnation()) || o->disk.conf().generation() == 0)
        return;
      for (auto& p : machines_) {
        if (!meta::HasVote(o->disk.conf(), p->uuid, p->disk.incarnation())) return;
      }
    }
    ++counts_.wipes;
    Tell(m.uuid + " loses what it had stored");
    Stop(m);
    const uint64_t incarnation = m.disk.incarnation() + 1;
    m.disk.Clear();
    m.disk.set_uuid(m.uuid);
    m.disk.set_incarnation(incarnation);
    m.disk.mutable_conf()->set_cluster_id(kCluster);
  }
}

// A random part is cut off from the rest, for a while; sometimes in one direction only, and sometimes one
// member still talks to both sides, or all do but two: then each side may find a majority, and only who is in
// both knows it.
void World::Cut() {
  std::set<std::string> part;
  for (auto& o : machines_) {
    if (random_() % 2 == 0) part.insert(o->uuid);
  }
  const auto any = [this] { return machines_[random_() % machines_.size()]->uuid; };
  const uint64_t kind = random_() % 5;
  if (kind == 2) part = {any()};
  const std::string bridge = kind == 1 ? any() : "", only = kind == 2 ? any() : "";
  Tell(fmt::format("cut {} | {}{}{}", fmt::join(part, " "), only.empty() ? "rest" : only,
                   kind == 0 ? " (one way)" : "",
                   bridge.empty() ? "" : ", but " + bridge + " talks to both"));
  for (auto& a : machines_) {
    for (auto& b : machines_) {
      if (!part.contains(a->uuid) || part.contains(b->uuid) || a->uuid == bridge || b->uuid == bridge)
        continue;
      if (!only.empty() && b->uuid != only) continue;
      cut_.insert({a->uuid, b->uuid});
      if (kind != 0) cut_.insert({b->uuid, a->uuid});
    }
  }
  At(Between(0, 8000) * kMs, [this] { cut_.clear(); });
}

// Whether all are up, and one of them has not promised the ballot that the record has accepted.
bool World::SomebodyMissed(const pb::MemberRecord& record) const {
  const auto up = [](const auto& m) { return m->node != nullptr; };
  const auto missed = [&](const auto& m) {
    return !Alone(*m) &&
           (m->disk.round() < record.round() ||
            (m->disk.round() == record.round() && meta::Lower(m->disk.promised(), record.accepted())));
  };
  return std::all_of(machines_.begin(), machines_.end(), up) &&
         std::any_of(machines_.begin(), machines_.end(), missed);
}

}  // namespace kfs::sim

#include "cluster_world.h"

#include <fmt/format.h>

namespace kfs::sim {
namespace {

constexpr size_t kStoryKept = 400;
constexpr uint64_t kEventsMax = 2000000;  // of a history: fifty times what one has

}  // namespace

World::World(uint64_t seed, const Plan& plan) : random_(seed), plan_(plan), faults_(plan.faults) {
  pb::ClusterConf first;
  first.set_cluster_id(kCluster);
  first.set_generation(1);
  for (size_t i = 1; i <= plan.machines; ++i) {
    const std::string number = std::to_string(i);
    pb::MemberConf member;
    member.set_uuid("m" + number);
    member.set_address("host" + number + ":7400");
    member.set_incarnation(1);
    member.set_votes_from(1);
    pb::MemberRecord record;
    record.set_uuid(member.uuid());
    record.set_incarnation(1);
    if (i > plan.members) {
      record.mutable_conf()->set_cluster_id("alone" + number);
      record.mutable_conf()->set_generation(1);
      *record.mutable_conf()->add_member() = member;
    } else {
      *first.add_member() = member;
    }
    machines_.push_back(std::make_unique<Machine>(*this, member.uuid(), record));
  }
  for (auto& m : machines_) {
    if (m->disk.conf().generation() == 0) *m->disk.mutable_conf() = first;
  }
  witness_.Founded(first);
  for (auto& m : machines_) Start(*m);
  At(100 * kMs, [this] { Mishaps(); });
}

void World::At(int64_t delay, std::function<void()> fn) {
  events_.push({now_ + delay, ++order_, std::move(fn)});
}

void World::On(Machine& m, uint64_t life, const std::function<void(meta::ClusterNode&)>& fn) {
  if (m.node == nullptr || m.life != life) return;
  try {
    fn(*m.node);
  } catch (const Crash& crash) {
    Tell(m.uuid + " crashes in a durable write");
    Stop(m, crash.for_long);
    return;
  }
  CheckLock(m);
}

bool World::Run(Duration time) {
  const int64_t end = now_ + time.count();
  while (broken_.empty() && !events_.empty() && events_.top().at <= end) {
    if (++counts_.events > kEventsMax) Break("a history without an end");
    Event e = events_.top();
    events_.pop();
    now_ = e.at;
    e.run();
  }
  now_ = end;
  return broken_.empty();
}

bool World::Live() {
  for (int i = 0; i < plan_.steps; ++i) {
    SubmitSomething();
    if (i % 3 == 0 && plan_.busy) SubmitSomething();
    if (!Run(std::chrono::milliseconds(Between(0, plan_.pause_ms_max)))) return false;
  }
  return true;
}

void World::Heal() {
  Tell("healed");
  healed_ = true;
  faults_ = {};
  cut_.clear();
  for (auto& m : machines_) {
    m->held_until = m->full_until = 0;
    if (m->node == nullptr) Start(*m);
  }
}

void World::Break(const std::string& what) {
  Tell("BROKEN: " + what);
  if (broken_.empty()) broken_ = what;
}

void World::Tell(const std::string& what) {
  if (story_.size() == kStoryKept) story_.erase(story_.begin());
  story_.push_back(fmt::format("{:9.3f} {}", static_cast<double>(now_) / 1e9, what));
}

std::string World::Story() const {
  std::string out;
  for (const std::string& line : story_) out += line + "\n";
  return out;
}

}  // namespace kfs::sim

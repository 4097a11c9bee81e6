#include "cluster_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"

namespace kfs::sim {
namespace {

constexpr int64_t kMs = 1000000;
constexpr char kCluster[] = "sim";
constexpr size_t kStoryKept = 400;
constexpr uint64_t kEventsMax = 2000000;  // of a history: fifty times what one has

}  // namespace

// ---- Machine

Machine::Machine(World& w, std::string id, const pb::MemberRecord& record)
    : world(w), uuid(std::move(id)), disk(record) {
  speed = 0.8 + std::uniform_real_distribution<>(0, 0.4)(world.random_);
}

MonoTime Machine::Now() const {
  return MonoTime(std::chrono::hours(1)) +
         std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(world.now_) * speed));
}

bool Machine::Reachable(const std::string& to) const {
  return !world.faults_.cuts_are_noticed || !world.cut_.contains({uuid, to});
}

uint64_t Machine::Random() { return world.random_(); }
std::string Machine::NewTransactionId() { return "t" + std::to_string(++world.ids_); }

void Machine::Send(const std::string& to, const pb::PeerMessage& message) {
  ++world.counts_.messages;
  const bool commit = message.has_request() && message.request().phase() == pb::COMMIT;
  if (world.cut_.contains({uuid, to}) || world.Chance(world.faults_.drop) ||
      (commit && world.Chance(world.faults_.drop_commit)))
    return;
  const int copies = world.Chance(world.faults_.twice) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    int64_t delay = static_cast<int64_t>(world.random_() % (20 * kMs));
    if (commit && world.Chance(world.faults_.late_commit))
      delay += world.Between(world.faults_.commit_late_ms_min, world.faults_.commit_late_ms_max) * kMs;
    if (held_until > world.now_) delay += held_until - world.now_;
    if (world.Chance(world.faults_.late)) delay += static_cast<int64_t>(world.random_() % (4000 * kMs));
    for (auto& m : world.machines_) {
      if (m->uuid != to) continue;
      world.At(delay, [this, target = m.get(), message] {
        // To whatever process runs there by then.
        world.On(*target, target->life, [&](meta::ClusterNode& node) { node.OnMessage(message); });
      });
    }
  }
  if (world.Chance(world.faults_.crash_sending)) throw World::Crash();
}

void Machine::Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
                     std::function<void(Status, std::string)> done) {
  if (world.Chance(world.faults_.bricks_silent)) return;
  const Status answer = world.Chance(world.faults_.bricks_fail) ? Status(EIO, "a brick cannot") : Status();
  // A late one is around the deadline of whoever has asked, or long after it.
  const bool late = world.Chance(world.faults_.bricks_late);
  const int64_t ms = late ? world.Between(1000, 4000) : world.Between(0, 50);
  world.At(ms * kMs, [this, in = life, answer, generation = next.generation(), ballot, read, late,
                      done = std::move(done)] {
    world.On(*this, in, [&](meta::ClusterNode&) {
      // Its own bricks' refusal no originator can miss.
      if (!answer.ok() && !late && !read && ballot.member() == uuid)
        world.witness_.Vetoed(generation, ballot);
      done(answer, "fine");
    });
  });
}

void Machine::Save(const pb::MemberRecord& record) {
  if (world.Chance(world.faults_.crash)) throw World::Crash();
  const pb::MemberRecord before = std::exchange(disk, record);
  world.Stored(before, record);
  // An originator is the first to accept.
  const bool proposes =
      record.accepted().member() == uuid && record.round() == record.conf().generation() + 1 &&
      (record.round() != before.round() || !meta::Equal(record.accepted(), before.accepted()));
  if (proposes && world.SomebodyMissed(record) && world.Chance(world.faults_.crash_proposing))
    throw World::Crash{.for_long = true};
  if (world.Chance(world.faults_.crash)) throw World::Crash();
}

// ---- World

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

void World::Start(Machine& m) {
  ++m.life;
  m.node = std::make_unique<meta::ClusterNode>(m, m);
  Tell(fmt::format("{} starts at generation {}", m.uuid, m.node->acceptor().generation()));
  Tick(m, m.life);
}

void World::Stop(Machine& m, bool for_long) {
  if (m.node == nullptr) return;
  ++counts_.crashes;
  m.node.reset();
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

void World::Submit(Machine& m, meta::Command command) {
  if (m.node == nullptr) return;
  const std::string words = command.words;
  const bool dry = command.dry_run || command.read;
  meta::Command copy = command;
  // The id is not known before Submit returns, and the answer may come inside.
  auto id = std::make_shared<std::string>();
  auto early = std::make_shared<std::optional<meta::Outcome>>();
  const std::string added = command.change.add_member().member().uuid();
  auto note = [this, words, dry, added, &m, who = m.uuid](const std::string& of, const meta::Outcome& o) {
    Tell(fmt::format("{} answers {} \"{}\": {} generation={} {}", who, of, words,
                     o.kind == meta::Outcome::kDone      ? "done"
                     : o.kind == meta::Outcome::kUnknown ? "unknown"
                                                         : "nothing changed",
                     o.generation, o.status.ToString()));
    if (dry) return;
    if (o.kind == meta::Outcome::kDone) {
      ++counts_.done;
      witness_.Acknowledged(of);
      for (auto& a : machines_) {
        if (a->uuid == added) Adopt(*a, m.disk.conf());
      }
    } else if (o.kind == meta::Outcome::kUnknown) {
      ++counts_.unknown;
    } else {
      ++counts_.refused;
      if (std::string broken = witness_.Refused(of); !broken.empty()) Break(broken);
    }
  };
  On(m, m.life, [&](meta::ClusterNode& node) {
    *id = node.Submit(std::move(command), [id, early, note](const meta::Outcome& o) {
      if (id->empty()) {
        *early = o;
      } else {
        note(*id, o);
      }
    });
    if (early->has_value() && !id->empty()) note(*id, **early);
  });
  if (!dry && !id->empty()) {
    copy.id = *id;
    last_ = std::move(copy);
  }
  if (m.node != nullptr) Tell(fmt::format("{} begins {} \"{}\"", m.uuid, *id, words));
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

// In a calm history often the one that has heard of the lowest ballot: somebody who has missed what the
// others have promised meanwhile.
Machine& World::Somebody() {
  Machine* m = machines_[random_() % machines_.size()].get();
  while (Alone(*m)) m = machines_[random_() % machines_.size()].get();
  if (plan_.busy || random_() % 2 == 0) return *m;
  for (auto& o : machines_) {
    if (o->node == nullptr || o->disk.conf().generation() == 0 || Alone(*o)) continue;
    if (m->node == nullptr || meta::Lower(o->node->acceptor().promised(), m->node->acceptor().promised()))
      m = o.get();
  }
  return *m;
}

void World::SubmitSomething() {
  Machine& m = Somebody();
  meta::Command command;
  command.timeout = std::chrono::milliseconds(Between(2000, plan_.timeout_ms_max));
  // Somebody without a vote has lost its state: most often that is mended first.
  for (auto& o : machines_) {
    if (m.node == nullptr || random_() % 4 == 0) break;
    const pb::MemberConf* known = meta::FindMember(m.node->acceptor().conf(), o->uuid);
    if (known == nullptr || known->incarnation() >= o->disk.incarnation()) continue;
    command.words = "readmit " + o->uuid;
    command.change.mutable_readmit()->set_uuid(o->uuid);
    command.change.mutable_readmit()->set_incarnation(o->disk.incarnation());
    return Submit(m, std::move(command));
  }
  if (random_() % 10 == 0 && !last_.id.empty()) {
    // Its client has heard nothing and asks again, maybe somewhere else. What one of the two says of its own
    // try says nothing about the other's.
    witness_.TriedAgain(last_.id);
    return Submit(m, last_);
  }
  if (random_() % plan_.regroup_of == 0 && m.node != nullptr && ChangeMembers(m)) return;
  const std::string name = "v" + std::to_string(random_() % 4);
  command.dry_run = random_() % 20 == 0;
  command.read = random_() % 10 == 0;
  switch (random_() % 6) {
    case 0: {
      auto* c = command.change.mutable_create_volume();
      c->set_chunk_size(64 << 20);
      c->set_name(name);
      const pb::ClusterConf& conf = m.disk.conf();
      const auto members = static_cast<uint64_t>(conf.member_size());
      c->set_owner(members == 0 ? "" : conf.member(static_cast<int>(random_() % members)).uuid());
      c->set_replicas(1);
      command.words = "volume create " + name;
      break;
    }
    case 1:
      command.change.mutable_stop_volume()->set_name(name);
      command.words = "volume stop " + name;
      break;
    case 2:
      command.change.mutable_delete_volume()->set_name(name);
      command.words = "volume delete " + name;
      break;
    default: {
      auto* c = command.change.mutable_set_option();
      c->set_name("user.option" + std::to_string(random_() % 3));
      c->set_value(std::to_string(random_() % 1000));
      command.words = "set " + c->name() + " " + c->value();
    }
  }
  Submit(m, std::move(command));
}

bool World::Alone(const Machine& m) { return m.disk.conf().cluster_id() != kCluster; }

// Tells a machine that it is a member, as whoever has probed it does (metaserver/members/peer_ops.h).
void World::Adopt(Machine& m, const pb::ClusterConf& conf) {
  if (Chance(faults_.drop)) return;
  At(Between(0, Chance(faults_.late) ? 4000 : 20) * kMs, [this, &m, conf] {
    const pb::ClusterConf& own = m.disk.conf();
    const pb::MemberConf* self = meta::FindMember(conf, m.uuid);
    if (m.node == nullptr || self == nullptr || self->incarnation() != m.disk.incarnation()) return;
    const bool out = meta::FindMember(own, m.uuid) == nullptr;
    if (!out && (!Alone(m) || own.member_size() > 1)) return;  // knows it, or belongs to others
    pb::MemberRecord record;
    record.set_uuid(m.uuid);
    record.set_incarnation(m.disk.incarnation());
    *record.mutable_conf() = conf;
    try {
      m.Save(record);
    } catch (const Crash&) {
      return Stop(m);
    }
    Tell(fmt::format("{} joins in generation {}", m.uuid, conf.generation()));
    Start(m);
  });
}

bool World::ChangeMembers(Machine& m) {
  const pb::ClusterConf& conf = m.node->acceptor().conf();
  Machine& o = *machines_[random_() % machines_.size()];
  meta::Command command;
  command.timeout = std::chrono::milliseconds(Between(2000, plan_.timeout_ms_max));
  const pb::MemberConf* known = meta::FindMember(conf, o.uuid);
  if (known == nullptr && conf.generation() > 0) {
    command.words = "peer probe " + o.uuid;
    pb::MemberConf* member = command.change.mutable_add_member()->mutable_member();
    member->set_uuid(o.uuid);
    member->set_address("host" + o.uuid.substr(1) + ":7400");
    member->set_incarnation(o.disk.incarnation());
  } else if (known != nullptr && Alone(o)) {
    // An earlier probe was interrupted before it was told.
    Adopt(o, conf);
    return true;
  } else if (known != nullptr && conf.member_size() > plan_.members_min) {
    command.words = "peer detach " + o.uuid;
    command.change.mutable_remove_member()->set_uuid(o.uuid);
  } else {
    return false;
  }
  Submit(m, std::move(command));
  return true;
}

// ---- what must hold

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
    if (!member && Alone(*m)) continue;
    if (member == !m->node->detached().empty())
      Break(m->uuid + (member ? " believes that it was detached" : " does not know that it was detached"));
    if (!member) continue;
    const std::vector<meta::PeerView> peers = m->node->Peers();
    if (peers.size() + 1 != static_cast<size_t>(conf.member_size()))
      Break(fmt::format("{} has {} peers of {}", m->uuid, peers.size(), conf.member_size() - 1));
    for (const meta::PeerView& p : peers) {
      if (p.state != meta::FriendState::kBefriended || !p.connected)
        Break(fmt::format("{} stays in '{}' with {}: {}", m->uuid, meta::NameOf(p.state), p.uuid, p.reason));
      if (p.log->unexpected() != 0) Break(m->uuid + ": an event without a row, of " + p.uuid);
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
    m->held_until = 0;
    if (m->node == nullptr) Start(*m);
  }
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
    meta::Command command;
    command.words = "readmit " + m->uuid;
    command.change.mutable_readmit()->set_uuid(m->uuid);
    command.change.mutable_readmit()->set_incarnation(m->disk.incarnation());
    for (auto& o : machines_) {
      if (o != m && meta::HasVote(o->disk.conf(), o->uuid, o->disk.incarnation())) {
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

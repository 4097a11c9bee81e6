#include "cluster_world.h"

#include <fmt/format.h>

#include "metaserver/cluster/configuration.h"

namespace kfs::sim {
namespace {

constexpr int64_t kMs = 1000000;
constexpr size_t kStoryKept = 400;

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
      delay += static_cast<int64_t>(world.random_() % (2000 * kMs));
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

void Machine::Bricks(const pb::ClusterConf&, const pb::Ballot&, bool,
                     std::function<void(Status, std::string)> done) {
  const Status answer = world.Chance(world.faults_.bricks_fail) ? Status(EIO, "a brick cannot") : Status();
  world.At(static_cast<int64_t>(world.random_() % (50 * kMs)),
           [this, in = life, answer, done = std::move(done)] {
             world.On(*this, in, [&](meta::ClusterNode&) { done(answer, "fine"); });
           });
}

void Machine::Save(const pb::MemberRecord& record) {
  if (world.Chance(world.faults_.crash)) throw World::Crash();
  disk = record;
  if (record.conf().generation() > 0) world.Decided(uuid, record.conf());
  if (world.Chance(world.faults_.crash)) throw World::Crash();
}

// ---- World

World::World(uint64_t seed, size_t members, const Faults& faults) : random_(seed), faults_(faults) {
  pb::ClusterConf first;
  first.set_cluster_id("sim");
  first.set_generation(1);
  for (size_t i = 1; i <= members; ++i) {
    pb::MemberConf* m = first.add_member();
    m->set_uuid("m" + std::to_string(i));
    m->set_address("host" + std::to_string(i) + ":7400");
    m->set_incarnation(1);
    m->set_votes_from(1);
  }
  decided_[1] = {meta::Checksum(first), ""};
  for (const pb::MemberConf& m : first.member()) {
    pb::MemberRecord record;
    record.set_uuid(m.uuid());
    record.set_incarnation(1);
    *record.mutable_conf() = first;
    machines_.push_back(std::make_unique<Machine>(*this, m.uuid(), record));
  }
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
  } catch (const Crash&) {
    Tell(m.uuid + " crashes in a durable write");
    Stop(m);
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

void World::Stop(Machine& m) {
  if (m.node == nullptr) return;
  ++counts_.crashes;
  m.node.reset();
  const int64_t down_ms = random_() % 2 == 0 ? 100 : 6000;
  At(static_cast<int64_t>(random_() % static_cast<uint64_t>(down_ms * kMs)), [this, &m] {
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
  if (Chance(faults_.cut_each_s / 10)) {
    // A random part is cut off from the rest, for a while; sometimes in one direction only.
    std::set<std::string> part;
    for (auto& o : machines_) {
      if (random_() % 2 == 0) part.insert(o->uuid);
    }
    const bool one_way = random_() % 4 == 0;
    Tell(fmt::format("cut {} | rest{}", fmt::join(part, " "), one_way ? " (one way)" : ""));
    for (auto& a : machines_) {
      for (auto& b : machines_) {
        if (part.contains(a->uuid) && !part.contains(b->uuid)) {
          cut_.insert({a->uuid, b->uuid});
          if (!one_way) cut_.insert({b->uuid, a->uuid});
        }
      }
    }
    At(static_cast<int64_t>(random_() % (8000 * kMs)), [this] { cut_.clear(); });
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
    m.disk.mutable_conf()->set_cluster_id("sim");
  }
}

void World::Submit(Machine& m, meta::Command command) {
  if (m.node == nullptr) return;
  const std::string words = command.words;
  const bool dry = command.dry_run || command.read;
  meta::Command copy = command;
  // The id is not known before Submit returns, and the answer may come inside.
  auto id = std::make_shared<std::string>();
  auto early = std::make_shared<std::optional<meta::Outcome>>();
  auto note = [this, words, dry, who = m.uuid](const std::string& of, const meta::Outcome& o) {
    Tell(fmt::format("{} answers {} \"{}\": {} generation={} {}", who, of, words,
                     o.kind == meta::Outcome::kDone      ? "done"
                     : o.kind == meta::Outcome::kUnknown ? "unknown"
                                                         : "nothing changed",
                     o.generation, o.status.ToString()));
    if (dry) return;
    if (o.kind == meta::Outcome::kDone) {
      ++counts_.done;
      acknowledged_.insert(of);
    } else if (o.kind == meta::Outcome::kUnknown) {
      ++counts_.unknown;
    } else {
      ++counts_.refused;
      if (!again_.contains(of)) refused_.insert(of);
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

void World::SubmitSomething() {
  Machine& m = *machines_[random_() % machines_.size()];
  meta::Command command;
  command.timeout = std::chrono::milliseconds(2000 + random_() % 10000);
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
    again_.insert(last_.id);
    refused_.erase(last_.id);
    return Submit(m, last_);
  }
  if (random_() % 8 == 0 && m.node != nullptr && ChangeMembers(m)) return;
  const std::string name = "v" + std::to_string(random_() % 4);
  command.dry_run = random_() % 20 == 0;
  command.read = random_() % 10 == 0;
  switch (random_() % 6) {
    case 0: {
      auto* c = command.change.mutable_create_volume();
      c->set_chunk_size(64 << 20);
      c->set_name(name);
      c->set_owner("m1");
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

bool World::ChangeMembers(Machine& m) {
  const pb::ClusterConf& conf = m.node->acceptor().conf();
  const Machine& o = *machines_[random_() % machines_.size()];
  meta::Command command;
  command.timeout = std::chrono::milliseconds(2000 + random_() % 10000);
  const pb::MemberConf* known = meta::FindMember(conf, o.uuid);
  if (known == nullptr && conf.generation() > 0) {
    command.words = "peer probe " + o.uuid;
    pb::MemberConf* member = command.change.mutable_add_member()->mutable_member();
    member->set_uuid(o.uuid);
    member->set_address("host" + o.uuid.substr(1) + ":7400");
    member->set_incarnation(o.disk.incarnation());
  } else if (known != nullptr && conf.member_size() > 3) {
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
    if (m->disk.conf().generation() > newest->generation()) newest = &m->disk.conf();
  }
  return *newest;
}

// Whoever is a member is a friend of every other one, and knows nothing of those that are not; whoever is not
// knows that.
void World::CheckFriends() {
  const pb::ClusterConf& conf = Newest();
  for (const auto& m : machines_) {
    const bool member = meta::FindMember(conf, m->uuid) != nullptr;
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

void World::Decided(const std::string& who, const pb::ClusterConf& conf) {
  const std::string checksum = meta::Checksum(conf);
  auto [it, fresh] = decided_.try_emplace(conf.generation(), checksum, conf.transaction());
  if (fresh) {
    ++counts_.generations;
    Tell(fmt::format("{} learns generation {} \"{}\" {}", who, conf.generation(), conf.command(),
                     conf.transaction()));
  }
  if (it->second.first != checksum)
    Break(fmt::format("{} applies another configuration under generation {}: \"{}\"", who, conf.generation(),
                      conf.command()));
}

void World::CheckLock(Machine& m) {
  if (m.node == nullptr || m.node->participant().lock_holder().empty()) return;
  if (m.node->participant().lock_until() - m.Now() > meta::Originator::kLease + std::chrono::milliseconds(1))
    Break(m.uuid + ": a lock outlives its lease");
}

bool World::Run(Duration time) {
  const int64_t end = now_ + time.count();
  while (broken_.empty() && !events_.empty() && events_.top().at <= end) {
    Event e = events_.top();
    events_.pop();
    now_ = e.at;
    e.run();
  }
  now_ = end;
  return broken_.empty();
}

void World::Heal() {
  Tell("healed");
  healed_ = true;
  faults_ = {};
  cut_.clear();
  for (auto& m : machines_) {
    if (m->node == nullptr) Start(*m);
  }
}

bool World::Settled() {
  // Locks of the dead run out, what is undecided is finished, who was away catches up.
  if (!Run(std::chrono::seconds(60))) return false;
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
  std::set<std::string> made;
  for (const auto& [generation, what] : decided_) {
    if (!what.second.empty() && !made.insert(what.second).second) Break(what.second + " was made twice");
  }
  for (const std::string& id : acknowledged_) {
    if (!made.contains(id)) Break(id + " was acknowledged and is lost");
  }
  for (const std::string& id : refused_) {
    if (made.contains(id)) Break(id + " was refused and happened all the same");
  }
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
